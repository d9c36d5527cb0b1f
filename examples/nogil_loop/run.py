"""A damped pendulum is learned, and rolled out from many starts: in Python, and in a loop in C.

python build.py FOLDER && python run.py FOLDER
"""

import sys
import time

import numpy as np

import fastbackprop as fb

sys.path.insert(0, sys.argv[1] if len(sys.argv) > 1 else ".")
import rollouts

N_STARTS, N_STEPS = 1000, 50
rng = np.random.default_rng(0)

# Changes of angle and speed in a twentieth of a second.
states = rng.uniform(-2, 2, size=(4000, 2)).astype("f4")
angle, speed = states.T
changes = 0.05 * np.stack([speed, -np.sin(angle) - 0.3 * speed], axis=1)
model = fb.mlp([2, 16, 16, 2], activation="tanh", scale_targets=True, seed=0)
fb.Trainer(model, "mean_squared_error", "adam", seed=0).fit(
    states, changes, epochs=60, batch_size=64, progress_bar=False
)

starts = rng.uniform(-1, 1, size=(N_STARTS, 2)).astype("f4")
noise = rng.normal(scale=0.01, size=(N_STARTS, N_STEPS, 2)).astype("f4")
out = np.empty_like(starts)

begin = time.perf_counter()
wrong = rollouts.ends(model, starts, noise, out)
in_c = time.perf_counter() - begin

begin = time.perf_counter()
expected = starts[:100].copy()
for i, state in enumerate(expected):
    for step in range(N_STEPS):
        state += model.predict(state) + noise[i, step]
in_python = (time.perf_counter() - begin) * N_STARTS / 100

print(f"the same bits: {np.array_equal(out[:100], expected)}, {wrong} not finite")
print(f"{N_STARTS * N_STEPS:,} calls: {in_c * 1e3:.1f} ms in C, {in_python * 1e3:.0f} in Python")
