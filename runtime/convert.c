/* Stored elements to elements of the program: reals to reals of any width, integers to integers that can hold them and to reals,
 * truth values to truth values.
 */
#include <string.h>
#include "rt.h"

/* 1 bit of sign, 5 of exponent with bias 15, 10 of mantissa; moved to the places of a float, whose bias is 127. An
 * exponent of 31 is infinity or NaN and becomes all ones. */
static double from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    float out;
    if (exponent == 0) {                                               /* zero or subnormal: mantissa / 2^24 */
        out = (float)mantissa * 0x1p-24f;
        return (double)(sign ? -out : out);
    }
    uint32_t bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13;
    memcpy(&out, &bits, sizeof out);
    return (double)out;
}

/* The upper half of a float. */
static double from_bf16(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return (double)out;
}

/* The bytes of a file are aligned to nothing. */
#define LOAD(type, at, k) (((const struct __attribute__((packed, may_alias)) { type value; } *)(at))[k].value)

/* A double holds every stored real exactly, so one way through the middle serves all pairs. */
static double load_real(uint8_t stored, const void *from, int64_t k) {
    switch (stored) {
    case RT_STORED_F64: return LOAD(double, from, k);
    case RT_STORED_F32: return (double)LOAD(float, from, k);
    case RT_STORED_F16: return from_f16(LOAD(uint16_t, from, k));
    default: return from_bf16(LOAD(uint16_t, from, k));
    }
}

/* false: beyond int64 */
static bool load_int(uint8_t stored, const void *from, int64_t k, int64_t *out) {
    switch (stored) {
    case RT_STORED_I64: *out = LOAD(int64_t, from, k); return true;
    case RT_STORED_I32: *out = LOAD(int32_t, from, k); return true;
    case RT_STORED_I16: *out = LOAD(int16_t, from, k); return true;
    case RT_STORED_I8: *out = LOAD(int8_t, from, k); return true;
    case RT_STORED_U32: *out = LOAD(uint32_t, from, k); return true;
    case RT_STORED_U16: *out = LOAD(uint16_t, from, k); return true;
    case RT_STORED_U8: *out = LOAD(uint8_t, from, k); return true;
    /* A U64 from 2^63 on comes out negative, which is how it is seen not to fit. */
    default: *out = (int64_t)LOAD(uint64_t, from, k); return *out >= 0;
    }
}

/* Rounds to nearest where the target is narrower: reals are the one case in which a value may change. */
static void store_real(uint32_t dtype, void *to, int64_t k, double value) {
    if (dtype == RT_F32) ((float *)to)[k] = (float)value;
    else ((double *)to)[k] = value;
}

/* A value that does not fit is refused: weights that are silently changed are worse than none. */
static bool store_int(uint32_t dtype, void *to, int64_t k, int64_t value) {
    if (rt_dtypes[dtype].sort == 'f') store_real(dtype, to, k, (double)value);
    else if (dtype == RT_I64) ((int64_t *)to)[k] = value;
    else if (value < INT32_MIN || value > INT32_MAX) return false;
    else ((int32_t *)to)[k] = (int32_t)value;
    return true;
}

static bool convert_reals(uint8_t stored, const void *from, uint32_t dtype, void *to, int64_t n) {
    for (int64_t k = 0; k < n; k++) store_real(dtype, to, k, load_real(stored, from, k));
    return true;
}

/* Integers to integers never go through a double, which has no room for the last bits of an i64. */
static bool convert_ints(uint8_t stored, const void *from, uint32_t dtype, void *to, int64_t n) {
    int64_t value;
    for (int64_t k = 0; k < n; k++)
        if (!load_int(stored, from, k, &value) || !store_int(dtype, to, k, value)) return false;
    return true;
}

/* Any byte but 0 and 1 is refused: kernels compute with the bytes as they are. */
static bool convert_bools(const void *from, void *to, int64_t n) {
    const uint8_t *at = from;
    for (int64_t k = 0; k < n; k++) {
        if (at[k] > 1) return false;
        ((uint8_t *)to)[k] = at[k];
    }
    return true;
}

/* What loses meaning is refused, not rounded: reals to integers, and truth values are nothing else. */
bool rt_convert(uint8_t stored, const void *from, uint32_t dtype, void *to, int64_t n) {
    char has = rt_stored_types[stored].sort, wants = rt_dtypes[dtype].sort;
    if (has == 'b' && wants == 'b') return convert_bools(from, to, n);
    if (has == 'f' && wants == 'f') return convert_reals(stored, from, dtype, to, n);
    if (has == 'i' && wants != 'b') return convert_ints(stored, from, dtype, to, n);
    return false;
}
