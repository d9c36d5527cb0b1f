# exp, expm1, tanh, sigmoid and log on vectors, without libm, so that every
# instruction set computes the same bits.
#
#   a) exp: x = n ln 2 + r with |r| <= ln 2 / 2, then e^r = 1 + q(r) and e^x = 2^n (1 + q).
#      n ln 2 is subtracted in two parts, the first exact (Cody and Waite).
#   b) tanh and sigmoid come from (a); tanh from expm1, which keeps its digits near 0. Their
#      derivatives are made beside them, since 1 - a^2 and a (1 - a) lose theirs where a is
#      nearly 1.
#   c) log: x = 2^e m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f), and
#      log(1 + f) = f - s (f - R(s^2)), the arrangement of fdlibm's e_log.c.
#   d) The polynomials are minimax, made by tools/polynomials.py, evaluated by Horner.
#
# Bounds in units in the last place, in both dtypes and without FMA too, tested against
# higher precision in tests/test_math.py: exp 1.1, log 0.9, log1p_small 1.3, tanh 2.7,
# sigmoid 2.5.
# NaN gives NaN; exp(-inf) = 0, log(0) = -inf, log(x < 0) = NaN; results below the
# smallest normal number are rounded, not flushed.

cdef inline vec expm1_polynomial(vec r) noexcept nogil:
    """q(r) = e^r - 1 for |r| <= ln 2 / 2."""
    cdef vec p
    if sizeof(real) == 8:
        p = v_set1(2.0923567936932905053e-9)
        p = v_fma(p, r, v_set1(2.5107937004804564947e-8))
        p = v_fma(p, r, v_set1(2.7557246055552496077e-7))
        p = v_fma(p, r, v_set1(2.7557247592001269439e-6))
        p = v_fma(p, r, v_set1(0.000024801587355953771023))
        p = v_fma(p, r, v_set1(0.0001984126988247793485))
        p = v_fma(p, r, v_set1(0.0013888888888869744922))
        p = v_fma(p, r, v_set1(0.0083333333333232262012))
        p = v_fma(p, r, v_set1(0.0416666666666666935))
        p = v_fma(p, r, v_set1(0.16666666666666674291))
        p = v_fma(p, r, v_set1(0.5))
    else:
        p = v_set1(0.0013945334533729676613)
        p = v_fma(p, r, v_set1(0.0083660535521295956566))
        p = v_fma(p, r, v_set1(0.041666303223671785143))
        p = v_fma(p, r, v_set1(0.16666548534952734136))
        p = v_fma(p, r, v_set1(0.50000000525709905056))
    return v_fma(v_mul(r, r), p, r)


cdef inline vec reduce_by_ln2(vec x, vec* r) noexcept nogil:
    """The whole number n nearest to x / ln 2, and r = x - n ln 2."""
    cdef vec n = v_round(v_mul(x, v_set1(1.4426950408889634074)))
    if sizeof(real) == 8:
        r[0] = v_fnma(n, v_set1(6.93147180369123816490e-01), x)
        r[0] = v_fnma(n, v_set1(1.90821492927058770002e-10), r[0])
    else:
        r[0] = v_fnma(n, v_set1(0.693359375), x)
        r[0] = v_fnma(n, v_set1(-2.121944400546905827679e-4), r[0])
    return n


cdef inline vec v_exp(vec x) noexcept nogil:
    cdef vec n, half, r, e
    # Beyond these bounds the result is 0 or inf; NaN passes (rule e of simd.h).
    if sizeof(real) == 8:
        x = v_min(v_set1(710.0), v_max(v_set1(-746.0), x))
    else:
        x = v_min(v_set1(89.0), v_max(v_set1(-104.0), x))
    n = reduce_by_ln2(x, &r)
    e = v_add(v_set1(1), expm1_polynomial(r))
    # In two steps, since 2^n itself may be too large or too small for a normal number.
    half = v_round(v_mul(n, v_set1(0.5)))
    return v_mul(v_mul(e, v_pow2(half)), v_pow2(v_sub(n, half)))


cdef inline vec v_expm1_below_0(vec x) noexcept nogil:
    """e^x - 1 for x <= 0, with the digits of small x."""
    cdef vec n, r, power
    x = v_max(v_set1(-40), x)                         # e^-40 - 1 rounds to -1
    n = reduce_by_ln2(x, &r)
    power = v_pow2(n)
    return v_fma(power, expm1_polynomial(r), v_sub(power, v_set1(1)))


cdef inline vec normal_tail_polynomial(vec t) noexcept nogil:
    """P(t) with 1 - Phi(x) = e^(-x^2 / 2) w P(1 - 8 w), w = 1 / (x + 4)."""
    cdef vec p
    if sizeof(real) == 8:
        p = v_set1(-1.2253294055249504548e-9)
        p = v_fma(p, t, v_set1(-4.0156098350286280976e-10))
        p = v_fma(p, t, v_set1(1.468104296151541381e-8))
        p = v_fma(p, t, v_set1(1.6276836252466321673e-8))
        p = v_fma(p, t, v_set1(-7.7236672124165880705e-8))
        p = v_fma(p, t, v_set1(-1.5688767669184600677e-7))
        p = v_fma(p, t, v_set1(2.6411052586722634588e-7))
        p = v_fma(p, t, v_set1(1.0220931784879164278e-6))
        p = v_fma(p, t, v_set1(-6.2516446088020806413e-7))
        p = v_fma(p, t, v_set1(-5.9201271858645086864e-6))
        p = v_fma(p, t, v_set1(7.149377921476458676e-7))
        p = v_fma(p, t, v_set1(0.000035144605841897495094))
        p = v_fma(p, t, v_set1(-1.9078317155847709399e-6))
        p = v_fma(p, t, v_set1(-0.00023109491085276219107))
        p = v_fma(p, t, v_set1(0.00013334424622857518746))
        p = v_fma(p, t, v_set1(0.0016308184541365265169))
        p = v_fma(p, t, v_set1(-0.0034796923613681612416))
        p = v_fma(p, t, v_set1(-0.007540188966492553553))
        p = v_fma(p, t, v_set1(0.060396574890653987127))
        p = v_fma(p, t, v_set1(-0.18652185795966362464))
        p = v_fma(p, t, v_set1(0.38713740074221971615))
        p = v_fma(p, t, v_set1(-0.60789664197189206584))
        p = v_fma(p, t, v_set1(0.75528513041575147765))
    else:
        p = v_set1(-0.0001341962580763410938)
        p = v_fma(p, t, v_set1(0.00017465949033793662385))
        p = v_fma(p, t, v_set1(0.0015684084146769190389))
        p = v_fma(p, t, v_set1(-0.0035102110839120116468))
        p = v_fma(p, t, v_set1(-0.0075240044781566922727))
        p = v_fma(p, t, v_set1(0.060403489489869386526))
        p = v_fma(p, t, v_set1(-0.18652365628171236243))
        p = v_fma(p, t, v_set1(0.3871369165228912781))
        p = v_fma(p, t, v_set1(-0.60789657987698685616))
        p = v_fma(p, t, v_set1(0.75528513525298168797))
    return p


cdef inline vec v_normal_tail(vec x, vec* e) noexcept nogil:
    """1 - Phi(x) = erfc(x / sqrt 2) / 2 for x >= 0, and e = e^(-x^2 / 2), which it is made of.

    x^2 is taken as high^2, which is exact, and (x - high) (x + high): else its rounding, times
    x^2, would be that of e.
    """
    cdef vec high, low, n, half, r, w
    cdef vec grid = v_set1(1048576 if sizeof(real) == 8 else 256)
    x = v_min(v_set1(40 if sizeof(real) == 8 else 15), x)     # beyond, e rounds to 0
    high = v_mul(v_round(v_mul(x, grid)), v_set1(1.0 / 1048576 if sizeof(real) == 8 else 1.0 / 256))
    low = v_mul(v_sub(x, high), v_add(x, high))
    n = reduce_by_ln2(v_mul(v_mul(high, high), v_set1(-0.5)), &r)
    r = v_fnma(low, v_set1(0.5), r)
    half = v_round(v_mul(n, v_set1(0.5)))
    e[0] = v_mul(v_add(v_set1(1), expm1_polynomial(r)), v_pow2(half))
    e[0] = v_mul(e[0], v_pow2(v_sub(n, half)))
    w = v_div(v_set1(1), v_add(x, v_set1(4)))
    return v_mul(e[0], v_mul(w, normal_tail_polynomial(v_fnma(v_set1(8), w, v_set1(1)))))


cdef inline vec v_tanh_and_slope(vec x, vec* slope) noexcept nogil:
    """tanh, and its derivative.

    With E = e^(-2|x|) - 1, tanh |x| is -E / (E + 2), whose sign is put back; 1 - tanh^2 is
    (E + 1) c^2, where c = 2 / (E + 2).
    """
    cdef vec r, power, q, e, total, c
    # Beyond the bound 2^n is 0: its exponent is that of 0.
    cdef vec t = v_max(v_set1(-709 if sizeof(real) == 8 else -88), v_mul(v_set1(-2), v_abs(x)))
    power = v_pow2(reduce_by_ln2(t, &r))
    q = expm1_polynomial(r)
    e = v_fma(power, q, v_sub(power, v_set1(1)))
    total = v_add(e, v_set1(2))
    c = v_div(v_set1(2), total)
    slope[0] = v_mul(v_mul(v_fma(power, q, power), c), c)
    return v_copysign(v_div(e, total), x)


cdef inline vec v_tanh(vec x) noexcept nogil:
    cdef vec slope
    return v_tanh_and_slope(x, &slope)


cdef inline vec v_sigmoid_and_slope(vec x, vec* slope) noexcept nogil:
    """1 / (1 + e^-x), which below 0 is e^x / (1 + e^x), never inf / inf; and its derivative."""
    cdef vec e = v_exp(v_sub(v_zero(), v_abs(x)))
    cdef vec one = v_set1(1), total = v_add(one, e)
    cdef vec s = v_div(one, total)
    slope[0] = v_mul(v_mul(e, s), s)
    return v_div(v_select(v_less(x, v_zero()), e, one), total)


cdef inline vec v_sigmoid(vec x) noexcept nogil:
    cdef vec slope
    return v_sigmoid_and_slope(x, &slope)


cdef inline vec log_polynomial(vec z) noexcept nogil:
    """R(z) with 2 atanh(s) = 2 s + s R(s^2)."""
    cdef vec p
    if sizeof(real) == 8:
        p = v_set1(0.14729296275886098463)
        p = v_fma(p, z, v_set1(0.15321132413131982795))
        p = v_fma(p, z, v_set1(0.18183268663360129237))
        p = v_fma(p, z, v_set1(0.22222204686030560442))
        p = v_fma(p, z, v_set1(0.28571428677891843745))
        p = v_fma(p, z, v_set1(0.399999999997317835))
        p = v_fma(p, z, v_set1(0.66666666666666814425))
    else:
        p = v_set1(0.29803538262203942368)
        p = v_fma(p, z, v_set1(0.39980581999654034581))
        p = v_fma(p, z, v_set1(0.6666674511988180606))
    return v_mul(z, p)


cdef inline vec v_log(vec x) noexcept nogil:
    cdef vec e, m, f, s, half_square, y, tail
    cdef vec one = v_set1(1)
    cdef vec infinity = v_set1(INFINITY)
    cdef vmask tiny = v_less(x, v_set1(SMALLEST_NORMAL))
    cdef vec normal = v_select(tiny, v_mul(x, v_pow2(v_set1(MANTISSA_BITS + 1))), x)
    e = v_sub(v_biased_exponent(normal), v_set1(EXPONENT_BIAS))
    e = v_select(tiny, v_sub(e, v_set1(MANTISSA_BITS + 1)), e)
    m = v_mantissa(normal)
    cdef vmask large = v_less(v_set1(1.4142135623730951), m)
    m = v_select(large, v_mul(m, v_set1(0.5)), m)
    e = v_select(large, v_add(e, one), e)
    f = v_sub(m, one)
    s = v_div(f, v_add(f, v_set1(2)))
    half_square = v_mul(v_mul(f, f), v_set1(0.5))
    tail = v_mul(s, v_add(half_square, log_polynomial(v_mul(s, s))))
    if sizeof(real) == 8:
        tail = v_fma(e, v_set1(1.90821492927058770002e-10), tail)
        y = v_sub(f, v_sub(half_square, tail))
        y = v_fma(e, v_set1(6.93147180369123816490e-01), y)
    else:
        tail = v_fma(e, v_set1(-2.121944400546905827679e-4), tail)
        y = v_sub(f, v_sub(half_square, tail))
        y = v_fma(e, v_set1(0.693359375), y)
    y = v_select(v_less(x, infinity), y, x)                       # inf, NaN
    cdef vec outside = v_select(v_less(x, v_zero()), v_set1(NAN), v_sub(x, infinity))
    return v_select(v_less(v_zero(), x), y, outside)              # 0, below 0, NaN


cdef inline vec v_log1p_small(vec x) noexcept nogil:
    """log(1 + x) for x in [0, 1], exact where 1 + x rounds to 1."""
    cdef vec one = v_set1(1)
    cdef vec u = v_add(one, x)
    return v_add(v_log(u), v_div(v_sub(x, v_sub(u, one)), u))


cdef inline real scalar_log(real x) noexcept nogil:
    return v_get_first(v_log(v_set1(x)))
