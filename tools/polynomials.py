"""Makes the polynomials of fastbackprop/_kernels/simd/math.pxi: minimax, by Remez exchange.

    pip install mpmath && python tools/polynomials.py

For each it prints the coefficients, constant first, and log2 of the weighted error.
"""

import mpmath as mp

mp.mp.dps = 60
GRID = 800


def error_runs(error, points):
    """The largest error of each stretch of one sign: (error, where)."""
    runs = []
    for x in points:
        e = error(x)
        if runs and mp.sign(e) == mp.sign(runs[-1][0]):
            runs[-1] = max(runs[-1], (e, x), key=lambda pair: abs(pair[0]))
        else:
            runs.append((e, x))
    return runs


def minimax(f, a, b, degree, weight):
    """The polynomial p of this degree with the least max |weight (p - f)| on [a, b]."""
    n = degree + 2
    points = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / n) for i in range(n)]
    grid = [a + (b - a) * mp.mpf(i) / GRID for i in range(GRID + 1)]
    for _ in range(12):
        system = mp.matrix(n, n)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                system[i, j] = x**j
            system[i, degree + 1] = (-1) ** i / weight(x)
        solution = mp.lu_solve(system, mp.matrix([f(x) for x in points]))
        p = [solution[j] for j in range(degree + 1)]
        runs = error_runs(lambda x, p=p: weight(x) * (mp.polyval(p[::-1], x) - f(x)), grid)
        if len(runs) < n:
            break
        while len(runs) > n:
            runs.pop(0 if abs(runs[0][0]) < abs(runs[-1][0]) else -1)
        points = [x for _, x in runs]
    return p, max(abs(e) for e, _ in runs)


def show(name, result):
    """Print one polynomial."""
    p, error = result
    print(f"{name}: error 2^{mp.nstr(mp.log(error, 2), 4)}")
    for coefficient in p:
        print("   ", mp.nstr(coefficient, 20))


# e^r = 1 + r + r^2 P(r) for |r| <= ln 2 / 2; an error of P counts r^2 absolutely, and
# near 0, where expm1 is wanted, r relatively.
HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")


def exp_rest(r):
    """P(r)."""
    return (mp.expm1(r) - r) / r**2 if r else mp.mpf(1) / 2


def exp_weight(r):
    """About |r|, but never 0."""
    return mp.sqrt(r * r + mp.mpf("0.01"))


# 2 atanh(s) = 2 s + s z P(z) with z = s^2, for |s| <= (sqrt 2 - 1) / (sqrt 2 + 1).
LARGEST_Z = mp.mpf("0.0296")


def log_rest(z):
    """P(z)."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def log_weight(z):
    """About z, but never 0."""
    return z + mp.mpf("0.003")


# The normal distribution's upper tail, 1 - Phi(x) = e^(-x^2 / 2) w P(t) for 0 <= x <= LARGEST_X,
# with w = 1 / (x + 4) and t = 1 - 8 w, after Shepherd and Laframboise 1981.
LARGEST_X = {"float32": mp.mpf(15), "float64": mp.mpf(40)}


def tail_rest(t):
    """P(t)."""
    x = 8 / (1 - t) - 4
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2 * (x + 4)


def tail_weight(t):
    """What makes the error relative."""
    return 1 / tail_rest(t)


def tail(dtype, degree):
    """The polynomial of the tail."""
    return minimax(tail_rest, mp.mpf(-1), 1 - 8 / (LARGEST_X[dtype] + 4), degree, tail_weight)


if __name__ == "__main__":
    show("exp, float32", minimax(exp_rest, -HALF_LN2, HALF_LN2, 4, exp_weight))
    show("exp, float64", minimax(exp_rest, -HALF_LN2, HALF_LN2, 10, exp_weight))
    show("log, float32", minimax(log_rest, mp.mpf("1e-12"), LARGEST_Z, 2, log_weight))
    show("log, float64", minimax(log_rest, mp.mpf("1e-12"), LARGEST_Z, 6, log_weight))
    show("normal tail, float32", tail("float32", 9))
    show("normal tail, float64", tail("float64", 22))
