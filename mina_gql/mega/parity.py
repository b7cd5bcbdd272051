"""Parity: does what the tables say in two places agree? (seed 002, 9.4)"""

from typing import NamedTuple

from sqlalchemy import text

from mina_gql.mega.database import Query


class Mismatch(NamedTuple):
    """A Pass whose balance is not the sum of its ledger, both in matcha."""

    pass_id: str
    balance: int
    ledger_sum: int


# Merged and erased Passes too: a balance nobody reads must be right as well.
MISMATCHES = Query(
    text("""
        select c.mg_pass_id, c.mg_credits, coalesce(l.total, 0)::int
        from mega_customers c left join (
          select mg_pass_id, sum(mg_delta) as total from mega_generations where mg_record_type = 'credit_transaction' group by 1
        ) l using (mg_pass_id)
        where c.mg_credits <> coalesce(l.total, 0) order by c.mg_pass_id
    """)
)
