"""Keys of a store, and what only looks like one."""

TAG = "ab" * 16
KEY = f"user_uploads/{TAG}/{'0f' * 16}.png"
VIDEO = f"generations/{TAG}/{'1e' * 16}.mp4"

NOT_KEYS = [
    "",
    f"{KEY}\n",
    f"{KEY}/",
    f"/{KEY}",
    KEY.upper(),
    KEY.replace("png", "svg"),
    KEY.replace("png", "html"),
    KEY.replace("user_uploads", "secrets"),
    KEY.replace("/", "//"),
    f"staging/{KEY}",
    f"user_uploads/../{KEY}",
    f"user_uploads/{TAG}/../{'0f' * 16}.png",
    f"user_uploads/{TAG}/{'0f' * 15}.png",
    f"user_uploads/{TAG}/{'٣' * 32}.png",
    f"user_uploads/{TAG}/{'0f' * 16}.png\0",
]
NOT_TAGS = ["", ".", "..", "*", "ab/cd", "AB" * 16, f"{TAG}/", f"{TAG}\n", "a" * 65]

SIGNING = b"s" * 32
"""What a store signs addresses of its own with."""
