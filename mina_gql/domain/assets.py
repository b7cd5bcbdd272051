"""Files of people and of models: their types, their limits, and the folders their keys begin with (DESIGN section 8)."""

MAX_UPLOAD_BYTES = 25 * 1024 * 1024
UPLOAD_TIMEOUT_SECONDS = 300
"""25 MB over a slow 4G line of about 0.7 Mbit/s: after that the button says “Upload image again” (seed 003, 4.1)."""
FILE_NAME_CHARS = 255

PICTURE_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
"""What people may upload, by media type."""
EXTENSIONS = {**PICTURE_EXTENSIONS, "video/mp4": "mp4"}
"""What is kept and served, by media type."""
CONTENT_TYPES = {extension: content_type for content_type, extension in EXTENSIONS.items()}

UPLOADS = "user_uploads"
OUTPUTS = "generations"
