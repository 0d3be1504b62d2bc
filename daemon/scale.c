/* SPDX-License-Identifier: MIT */
#include "scale.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Far beyond any unit of energy; what bounds the loops below. */
#define MAX_EXPONENT 300

#define MAX_NUM ((count_t)1 << 63)
#define MAX_DEN ((count_t)1 << 127)

/* value = mantissa x base^exponent, base 10 or, of the hexadecimal form, 2 */
struct number {
        count_t mantissa;
        int exponent;
        bool hexadecimal;
};

static int digit_of(char c, int base)
{
        if (isdigit((unsigned char)c))
                return c - '0';
        if (base == 16 && isxdigit((unsigned char)c))
                return tolower((unsigned char)c) - 'a' + 10;
        return -1;
}

/* "12.5" or "1a.8": 0, or how it is wrong; *text behind it. */
static int parse_mantissa(const char **text, struct number *n)
{
        int base = n->hexadecimal ? 16 : 10, digits = 0;
        bool point = false;
        const char *p = *text;

        for (; *p; p++) {
                int digit = digit_of(*p, base);

                if (*p == '.' && !point) {
                        point = true;
                        continue;
                }
                if (digit < 0)
                        break;
                if (__builtin_mul_overflow(n->mantissa, (unsigned int)base, &n->mantissa) ||
                    __builtin_add_overflow(n->mantissa, (unsigned int)digit, &n->mantissa))
                        return -ERANGE;
                digits++;
                if (point)
                        n->exponent -= n->hexadecimal ? 4 : 1;
                if (n->exponent < -MAX_EXPONENT)
                        return -ERANGE;
        }
        *text = p;
        return digits > 0 ? 0 : -EBADMSG;
}

/* "e-10", "p+3": nothing may follow. */
static int parse_exponent(const char *p, struct number *n)
{
        bool negative = false;
        int exponent = 0;

        if (*p == '\0')
                return 0;
        if (tolower((unsigned char)*p) != (n->hexadecimal ? 'p' : 'e'))
                return -EBADMSG;
        p++;
        if (*p == '-' || *p == '+')
                negative = *p++ == '-';
        if (*p == '\0' || p[strspn(p, "0123456789")] != '\0')
                return -EBADMSG;
        for (; *p; p++) {
                exponent = exponent * 10 + (*p - '0');
                if (exponent > MAX_EXPONENT)
                        return -ERANGE;
        }
        n->exponent += negative ? -exponent : exponent;
        return 0;
}

/* fraction x factor^exponent, factors that both sides have in common left out */
static int multiply(count_t *num, count_t *den, unsigned int factor, int exponent)
{
        for (; exponent > 0; exponent--) {
                if (*den % factor == 0)
                        *den /= factor;
                else if (__builtin_mul_overflow(*num, factor, num))
                        return -ERANGE;
        }
        for (; exponent < 0; exponent++) {
                if (*num % factor == 0)
                        *num /= factor;
                else if (__builtin_mul_overflow(*den, factor, den))
                        return -ERANGE;
        }
        return 0;
}

int scale_parse(struct scale *scale, const char *joules)
{
        struct number n = {.mantissa = 0};
        count_t num, den = 1;
        int r;

        n.hexadecimal = joules[0] == '0' && tolower((unsigned char)joules[1]) == 'x';
        if (n.hexadecimal)
                joules += 2;
        r = parse_mantissa(&joules, &n);
        if (r == 0)
                r = parse_exponent(joules, &n);
        if (r == 0 && n.mantissa == 0)
                r = -EBADMSG;
        if (r < 0)
                return r;
        num = n.mantissa;
        /* powers of 2 and of 5 apart: only so does all cancel that can */
        r = multiply(&num, &den, 2, n.exponent);
        if (r == 0 && !n.hexadecimal)
                r = multiply(&num, &den, 5, n.exponent);
        if (r == 0)
                r = multiply(&num, &den, 2, 6); /* microjoules: 10^6 = 2^6 x 5^6 */
        if (r == 0)
                r = multiply(&num, &den, 5, 6);
        if (r < 0)
                return r;
        if (num >= MAX_NUM || den >= MAX_DEN)
                return -ERANGE;
        *scale = (struct scale){.num = (uint64_t)num, .den = den};
        return 0;
}

bool scale_to_uj(const struct scale *scale, count_t counts, uint64_t *uj)
{
        count_t product;

        if (__builtin_mul_overflow(counts, scale->num, &product) ||
            product / scale->den > UINT64_MAX)
                return false;
        *uj = (uint64_t)(product / scale->den);
        return true;
}

void tally_follow(struct tally *tally, uint64_t value)
{
        uint64_t forwards = value - tally->last, backwards = tally->last - value;

        if (forwards < UINT64_C(1) << 63)
                tally->total += forwards;
        else
                tally->total -= backwards < tally->total ? backwards : tally->total;
        tally->last = value;
}
