#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden cases of the model, from its equations in exact fractions.

    model_cases.py                  print the table that test_model.c includes
    model_cases.py --compare FILE   exit 1, with the differing lines, unless FILE is that table

Nothing here is a translation of daemon/model.c: energies are fractions of a joule, a split is a
sort by remainder, and powers are taken with 60 decimal digits.
"""
import difflib
import sys
from decimal import Decimal, localcontext
from fractions import Fraction

UJ_PER_J = 10**6
FJ_PER_J = 10**15
CARRY_S = Fraction(2, 1000)  # baseline that a tick may owe to the next ones: two updates of RAPL
DIGITS = 60

MS = 10**6  # in ns
SECOND = 10**9


def floor(fraction):
    return fraction.numerator // fraction.denominator


# --- static = min(E, P0 * t), deficits carried ----------------------------------------------------

# name, [(base_uw, covered_ns, energy_uj), ...]: readings one after the other
STATIC = [
    ("plenty of energy", [(20_000_000, 10 * MS, 500_000)]),
    ("all of it is static", [(20_000_000, 10 * MS, 200_000)]),
    ("one short by 1 uJ", [(20_000_000, 10 * MS, 199_999)]),
    ("no energy at all", [(20_000_000, 10 * MS, 0)]),
    ("no baseline", [(0, 10 * MS, 123_456)]),
    ("no time", [(20_000_000, 0, 123_456)]),
    ("a short tick is made up by the next",
     [(20_000_000, 10 * MS, 180_000), (20_000_000, 10 * MS, 220_000)]),
    ("and by the one after that",
     [(20_000_000, 10 * MS, 180_000), (20_000_000, 10 * MS, 200_000),
      (20_000_000, 10 * MS, 230_000)]),
    ("more than 2 ms is not owed",
     [(20_000_000, 10 * MS, 100_000), (20_000_000, 10 * MS, 300_000)]),
    ("a deficit does not pile up",
     [(20_000_000, 10 * MS, 0), (20_000_000, 10 * MS, 0), (20_000_000, 10 * MS, 10_000_000)]),
    ("fractions of a microjoule add up",
     [(333_333, 10 * MS, 10_000), (333_333, 10 * MS, 10_000), (333_333, 10 * MS, 10_000)]),
    ("a baseline of a microwatt",
     [(1, 400 * MS, 5), (1, 400 * MS, 5), (1, 400 * MS, 5), (1, 400 * MS, 5)]),
    ("an odd base over an odd time",
     [(31_415_927, 10_000_213, 314_170), (31_415_927, 9_999_871, 9)]),
    ("half an hour in one reading", [(40_000_000, 1800 * SECOND, 10**12)]),
    ("ten kilowatts over 1.8 s", [(10**10, 18 * SECOND // 10, 10**12)]),
    ("ten kilowatts that are not there", [(10**10, 10 * MS, 1), (10**10, 10 * MS, 10**9)]),
    ("a baseline that is lowered forgets what it owed",
     [(50_000_000, 10 * MS, 400_000), (1_000_000, 10 * MS, 5_000), (1_000_000, 10 * MS, 20_000)]),
]


def static_steps(readings):
    owed = dropped = Fraction(0)
    for base_uw, covered_ns, energy_uj in readings:
        power = Fraction(base_uw, 10**6)
        owed += power * Fraction(covered_ns, SECOND)
        energy = Fraction(energy_uj, UJ_PER_J)
        static_uj = floor(min(owed, energy) * UJ_PER_J)
        owed -= Fraction(static_uj, UJ_PER_J)
        # What is below a microjoule is rounding, and always kept.
        if owed * UJ_PER_J >= 1 and owed > power * CARRY_S:
            dropped += owed - power * CARRY_S
            owed = power * CARRY_S
        yield base_uw, covered_ns, energy_uj, static_uj, owed * FJ_PER_J, dropped * FJ_PER_J


# --- share = dynamic * credit, exact in microjoules -----------------------------------------------

# total_uj, weights (ns of CPU time), weight of what is not listed
SPLITS = [
    (100, [1, 1, 1], 0),
    (100, [1, 1, 1], 1),
    (1, [1, 1], 0),
    (1, [1, 2], 0),
    (2, [1, 1, 1], 1),
    (0, [5, 7], 3),
    (7, [0, 3, 0], 0),
    (7, [0, 3, 0], 4),
    (10, [], 5),
    (10, [], 0),
    (10, [0, 0], 0),
    (10, [0, 0], 9),
    (3, [1, 1, 1, 1, 1], 0),
    (3, [1, 1, 1, 1, 1], 1),
    (1_000_000, [999_999_999, 1], 0),
    (100_000, [9_876_543, 123_457, 1, 10_000_000, 3_333_333], 0),
    (200_000, [9_876_543, 123_457, 1, 10_000_000, 3_333_333], 77_777),
    (10**12, [2**62, 2**62 - 1, 2**61, 3], 2**60),
    (10**12, [2**63, 2**63 - 1], 0),
    (999_999_999_999, [1, 2**64 - 2], 0),
    (10**12 - 1, [6_148_914_691_236_517_205] * 3, 0),
    (17, [5, 4, 3, 2, 1, 5, 4, 3, 2, 1], 11),
]


def split(total, weights, unlisted):
    everything = sum(weights) + unlisted
    if everything == 0:
        return [0] * len(weights), total
    exact = [Fraction(total * w, everything) for w in [*weights, unlisted]]
    shares = [floor(e) for e in exact]
    # The largest remainder first; of equals the first in the list, the unlisted last.
    order = sorted(range(len(exact)), key=lambda i: (shares[i] - exact[i], i))
    for i in order[:total - sum(shares)]:
        shares[i] += 1
    assert sum(shares) == total
    return shares[:-1], shares[-1]


# --- attributed = dynamic * credit ^ exponent -----------------------------------------------------

# dynamic_uj, own_ns, busy_ns, exponent in thousandths
POWERS = [
    (dynamic, own, busy, exponent)
    for dynamic, own, busy in [
        (80_000_000, 8 * SECOND, 8 * SECOND),
        (80_000_000, 8 * SECOND, 16 * SECOND),
        (1, 1, 3),
        (123_456_789, 1, 10**12),
        (999_999_999_999, 987_654_321, 987_654_322),
        (12_345_678, 31_415_926_535, 271_828_182_845),
    ]
    for exponent in [300, 200, 1000, 1, 777]
] + [
    (80_000_000, 0, 16 * SECOND, 300),
    (0, 8 * SECOND, 16 * SECOND, 300),
]


def attributed(dynamic_uj, own_ns, busy_ns, exponent):
    if own_ns == 0 or dynamic_uj == 0:
        return Decimal(0)
    with localcontext() as context:
        context.prec = DIGITS
        credit = Decimal(own_ns) / Decimal(busy_ns)
        power = (credit.ln() * Decimal(exponent) / 1000).exp()
        return Decimal(dynamic_uj) / UJ_PER_J * power


# --- all of it: a package over one second ---------------------------------------------------------

# energy_uj, base_uw, [CPU time of each target in ns], CPU time of all others in ns
SECONDS = [
    (30_000_000, 20_000_000, [SECOND], 0),
    (40_000_000, 20_000_000, [SECOND, SECOND], 0),
    (40_000_000, 20_000_000, [SECOND // 4], 7 * SECOND // 4),
    (52_400_123, 20_000_000, [1_234_567_891, 5_000_000, 17], 759_432_092),
    (19_000_000, 20_000_000, [SECOND], SECOND),
    (180_333_333, 41_700_000, [31 * SECOND, 999_999_937, 1], 32 * SECOND),
]
GAMMA = 300


def decimal_text(value):
    return f"{value:.25E}" if value else "0"


def words(values):
    return ", ".join(f"{v}u" for v in values)


def table():
    yield "/* SPDX-License-Identifier: MIT */"
    yield "/* Made by model_cases.py, which says what each column is.  Not to be edited. */"
    yield ""
    yield "static const struct static_case static_cases[] = {"
    for name, readings in STATIC:
        for i, (base, ns, energy, static, owed, dropped) in enumerate(static_steps(readings)):
            assert owed.denominator == dropped.denominator == 1
            yield (f'        {{"{name}", {i}, {base}u, {ns}u, {energy}u, '
                   f"{static}u, {owed}u, {dropped}u}},")
    yield "};"
    yield ""
    yield "static const struct split_case split_cases[] = {"
    for total, weights, unlisted in SPLITS:
        shares, rest = split(total, weights, unlisted)
        yield (f"        {{{total}u, {len(weights)}, {{{words(weights) or '0'}}}, "
               f"{sum(weights) + unlisted}u, {{{words(shares) or '0'}}}, {rest}u}},")
    yield "};"
    yield ""
    yield "static const struct power_case power_cases[] = {"
    for dynamic, own, busy, exponent in POWERS:
        value = decimal_text(attributed(dynamic, own, busy, exponent))
        yield f"        {{{dynamic}u, {own}u, {busy}u, {exponent / 1000}, {value}}},"
    yield "};"
    yield ""
    yield "static const struct second_case second_cases[] = {"
    for energy, base, targets, others in SECONDS:
        static = min(energy, base)
        shares, rest = split(energy - static, targets, others)
        powers = [attributed(energy - static, t, sum(targets) + others, GAMMA) for t in targets]
        yield (f"        {{{energy}u, {base}u, {len(targets)}, {{{words(targets)}}}, "
               f"{sum(targets) + others}u, {static}u,")
        yield f"         {{{words(shares)}}}, {rest}u,"
        yield f"         {{{', '.join(decimal_text(p) for p in powers)}}}}},"
    yield "};"


def main():
    made = "\n".join(table()) + "\n"
    if len(sys.argv) == 1:
        sys.stdout.write(made)
        return 0
    if len(sys.argv) != 3 or sys.argv[1] != "--compare":
        sys.stderr.write(__doc__)
        return 2
    with open(sys.argv[2], encoding="utf-8") as file:
        there = file.read()
    sys.stdout.writelines(difflib.unified_diff(
        there.splitlines(True), made.splitlines(True), sys.argv[2], "model_cases.py"))
    print(f"{len(STATIC)} sequences, {len(SPLITS)} splits, {len(POWERS)} powers, "
          f"{len(SECONDS)} seconds: {'the same' if there == made else 'DIFFERENT'}")
    return there != made


if __name__ == "__main__":
    sys.exit(main())
