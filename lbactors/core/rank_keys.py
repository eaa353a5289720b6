"""The integers by which a ranking orders its entries: their layout, and whole columns of them at once.

Idea: one integer carries all that the order depends on, so an index of entries compares plain integers.
Ascending key means best first:

    bits      207..144        143..80            79..32        31..0
    field     score, 64 bits  subscore, 64 bits  seq, 48 bits  slot, 32 bits

The slot is an index into the ranking's list of player ids: it leads from a key back to its player. It decides
no order as long as every change has its own seq.

A double becomes an integer of the same order by its bits: read as a signed integer, non-negative doubles are
in order and negative ones in reverse (IEEE 754), so the lower 63 bits of negative ones are flipped. Where
more is better the number is negated first; tie_breaking 'last' inverts the seq.

Worked example: order and subscore_order desc, tie_breaking first; score 5100, subscore 3, seq 7, slot 2.

    -5100.0   bits 0xc0b3ec0000000000 are negative: lower 63 flipped   0xbf4c13ffffffffff
              raised by 2**63, so that keys are positive               0x3f4c13ffffffffff
    -3.0      0xc008000000000000 -> 0xbff7ffffffffffff ->              0x3ff7ffffffffffff
    key       0x 3f4c13ffffffffff 3ff7ffffffffffff 000000000007 00000002

Score 5101 begins with 0x3f4c12ff, is less, and leads. `key >> 80` is the prefix: the same for all entries
equal in (score, subscore). A prefix shifted back is not above any key that has it, so competition ranks,
score ranges and distributions bisect the index with one.

A single key is made where it is needed (`Ranking._key`, the hot path). Here they are made by the thousand,
in few passes that the interpreter runs in C, for a million entries want loading within two seconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from math import frexp
from operator import mul
from typing import Any

from lbactors.core.numbers import Number

# A tuple that begins with score, subscore and seq, such as an entry: what decides a player's place.
Standing = tuple[Number, Number, int, *tuple[Any, ...]]

SEQ_MAX = 2**48 - 1

SLOT_BITS, PREFIX_SHIFT, SCORE_SHIFT = 32, 80, 144
SLOT_MASK = (1 << SLOT_BITS) - 1
LOWER_63 = (1 << 63) - 1
SIGN = 1 << 63
POSITIVE_PREFIX = (SIGN << 64) + SIGN  # raises both numbers of a prefix by 2**63 in one addition

_MANTISSA_BITS, _EXPONENT_MAX = 53, 1023  # of a double


def keys_of(
    scores: Sequence[Number],
    subscores: Sequence[Number],
    seqs: Sequence[int],
    first_slot: int,
    *,
    falling: bool,
    subscores_falling: bool,
    last_leads: bool,
) -> list[int]:
    """The keys of entries given as columns of one length (at least 1); their slots follow each other.

    falling: more is better. last_leads: tie_breaking 'last'. Numbers must be finite, seqs in 0..SEQ_MAX.
    """
    if last_leads:
        seqs = [seq ^ SEQ_MAX for seq in seqs]
    score_bits = _ordered_bits(scores, falling)
    if subscores.count(subscores[0]) == len(subscores):  # as a rule: few boards use them
        (subscore_bits,) = _ordered_bits(subscores[:1], subscores_falling)
        # `rests` has no end, and stands last: zip stops at the end of the columns.
        rests = count((subscore_bits << PREFIX_SHIFT) + first_slot)
        return [
            (score << SCORE_SHIFT) + (seq << SLOT_BITS) + rest
            for score, seq, rest in zip(score_bits, seqs, rests, strict=False)
        ]
    subscore_bits_of = _ordered_bits(subscores, subscores_falling)
    return [
        ((score << 64) + subscore << PREFIX_SHIFT) + (seq << SLOT_BITS) + slot
        for score, subscore, seq, slot in zip(
            score_bits, subscore_bits_of, seqs, count(first_slot), strict=False
        )
    ]


def _ordered_bits(numbers: Sequence[Number], falling: bool) -> list[int]:
    """Each finite number as an integer in 0..2**64-1, ascending from best to worst. -0.0 counts as 0."""
    # Negating a double flips its sign bit alone, so `falling` needs no arithmetic on the numbers.
    bits = memoryview(array("d", numbers)).cast("B").cast("q")
    if falling:
        return [LOWER_63 - b if b > 0 else SIGN + (b & LOWER_63) for b in bits]
    return [SIGN + b if b >= 0 else SIGN - (b & LOWER_63) - (b != -SIGN) for b in bits]


def exact_sum(numbers: Sequence[Number]) -> tuple[int, int]:
    """The exact sum of finite doubles, and of ints within ±2**53, as (units, shift): units / 2**shift.

    A double is an integer over a power of two; the power of the smallest one, times 2**53, serves them all.
    """
    if set(map(type, numbers)) == {int}:
        return int(sum(numbers)), 0
    sizes = [abs(float(number)) for number in numbers if number]
    if not sizes:
        return 0, 0
    shift = max(0, _MANTISSA_BITS - frexp(min(sizes))[1])
    if shift + max(0, frexp(max(sizes))[1]) > _EXPONENT_MAX:
        return _sum_of_any(numbers)
    return sum(map(int, map(mul, map(float, numbers), repeat(2.0**shift)))), shift


def _sum_of_any(numbers: Iterable[Number]) -> tuple[int, int]:
    """The same, number by number: for sizes so far apart that no power of two serves all of them."""
    total = total_shift = 0
    for number in numbers:
        units, denominator = float(number).as_integer_ratio()
        total, total_shift = sum_of_two(total, total_shift, units, denominator.bit_length() - 1)
    return total, total_shift


def sum_of_two(units: int, shift: int, more: int, more_shift: int) -> tuple[int, int]:
    """units / 2**shift + more / 2**more_shift, over the larger of the two powers."""
    if more_shift > shift:
        return (units << more_shift - shift) + more, more_shift
    return units + (more << shift - more_shift), shift
