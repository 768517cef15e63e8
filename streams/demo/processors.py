"""The processors of the demo's platform: how often they run, how often they fail, and the factors that they find.

All but one are in the sample catalogue. ``fraud_screening`` is not, as happens when a platform grows faster than its
catalogue: its factors are merged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Final, TypeAlias

__all__ = ["PROCESSORS", "Business", "Processor"]

Factors: TypeAlias = dict[str, str | bool | int | Decimal | None]

_OWNERS: Final = ("Reyes", "Novak", "Okafor", "Lindqvist", "Tanaka", "Haddad", "Moreau", "Kowalski", "Nguyen", "Silva")
_TRADES: Final = ("Bakery", "Plumbing", "Auto Repair", "Dental Care", "Landscaping", "Logistics", "Coffee", "Roofing")
_EMPLOYERS: Final = ("Harbor Foods", "Summit Staffing", "Bluebird Clinic", "Ridge Construction", "City Schools")


@dataclass(frozen=True, slots=True)
class Business:
    """An applicant: the values that its documents have in common."""

    name: str
    revenue_cents: int
    score: int
    years: Decimal
    account: str

    @classmethod
    def invent(cls, rng: Random) -> "Business":
        """An applicant; most are small, a few are not."""
        return cls(
            name=f"{rng.choice(_OWNERS)} {rng.choice(_TRADES)} LLC",
            revenue_cents=int(rng.lognormvariate(14.9, 0.8)),
            score=min(850, max(420, round(rng.gauss(680, 70)))),
            years=Decimal(rng.randint(3, 240)).scaleb(-1),
            account=f"acct-{rng.getrandbits(32):08x}",
        )


@dataclass(frozen=True, slots=True)
class Processor:
    """One processor.

    Attributes:
        short: for the ids of its executions.
        share: the share of applications that need it.
        executions: the least and the greatest number of them.
        failure: the share of attempts that fail.
        seconds: a typical run.
        codes: how it fails.
        find: makes the factors of a successful run.
    """

    short: str
    share: float
    executions: tuple[int, int]
    failure: float
    seconds: float
    codes: tuple[str, ...]
    find: Callable[[Business, Random], Factors]


def _cents(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _happens(rng: Random, share: float) -> bool:
    return rng.random() < share


def _bank_statement(business: Business, rng: Random) -> Factors:
    return {"f_revenue_monthly": _cents(round(business.revenue_cents * rng.uniform(0.7, 1.3)))}


def _credit_check(business: Business, rng: Random) -> Factors:
    return {"f_credit_score": business.score + rng.randint(-8, 8)}


def _drivers_license(_: Business, rng: Random) -> Factors:
    return {"f_license_verified": _happens(rng, 0.93)}


def _proof_of_income(business: Business, rng: Random) -> Factors:
    # Now and then a scan was read upside down: the value is below the catalogue's bound, so it is rejected.
    income = round(business.revenue_cents * rng.uniform(0.15, 0.3)) * (-1 if _happens(rng, 0.02) else 1)
    return {"f_income_monthly": _cents(income), "f_employer_name": rng.choice(_EMPLOYERS)}


def _business_verification(business: Business, rng: Random) -> Factors:
    return {
        "f_business_legal_name": business.name,
        "f_business_in_good_standing": _happens(rng, 0.95),
        "f_years_in_business": business.years,
        # Not every registry has this value.
        "f_revenue_annual": None if _happens(rng, 0.1) else _cents(business.revenue_cents * 12),
    }


def _voided_check(business: Business, rng: Random) -> Factors:
    return {"f_account_match": _happens(rng, 0.95), "f_account_token": business.account}


def _proof_of_ownership(_: Business, rng: Random) -> Factors:
    return {"f_owner_share": rng.choice((25, Decimal("33.33"), 40, 50)), "f_owner_verified": _happens(rng, 0.9)}


def _tax_return(business: Business, rng: Random) -> Factors:
    receipts = round(business.revenue_cents * 12 * rng.uniform(0.8, 1.1))
    return {
        "f_gross_receipts": _cents(receipts),
        "f_net_income": _cents(round(receipts * rng.uniform(-0.05, 0.25))),
        "f_tax_year": rng.choice((2022, 2023, 2024)),
    }


def _fraud_screening(_: Business, rng: Random) -> Factors:
    return {"f_device_risk": Decimal(rng.randint(0, 100)).scaleb(-2), "f_device_known": _happens(rng, 0.7)}


PROCESSORS: Final[Mapping[str, Processor]] = {
    "bank_statement": Processor(
        "bs", 1.0, (3, 5), 0.07, 20, ("UNREADABLE_DOCUMENT", "PASSWORD_PROTECTED"), _bank_statement
    ),
    "business_verification": Processor("bv", 0.8, (1, 1), 0.2, 8, ("REGISTRY_UNAVAILABLE",), _business_verification),
    "credit_check": Processor("cc", 1.0, (1, 1), 0.12, 4, ("PROVIDER_TIMEOUT", "RATE_LIMITED"), _credit_check),
    "drivers_license": Processor(
        "dl", 0.9, (1, 2), 0.1, 12, ("GLARE_ON_PHOTO", "UNREADABLE_DOCUMENT"), _drivers_license
    ),
    "fraud_screening": Processor("fs", 0.7, (1, 2), 0.03, 2, ("PROVIDER_TIMEOUT",), _fraud_screening),
    "proof_of_income": Processor("pi", 0.4, (1, 3), 0.08, 25, ("UNREADABLE_DOCUMENT",), _proof_of_income),
    "proof_of_ownership": Processor("po", 0.4, (1, 3), 0.05, 30, ("UNREADABLE_DOCUMENT",), _proof_of_ownership),
    "tax_return": Processor("tr", 0.3, (1, 3), 0.1, 45, ("MISSING_PAGES", "UNREADABLE_DOCUMENT"), _tax_return),
    "voided_check": Processor("vc", 0.6, (1, 1), 0.04, 6, ("UNREADABLE_DOCUMENT",), _voided_check),
}
