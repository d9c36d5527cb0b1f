"""Reinforcement learning by hand: REINFORCE balances a pole.

A policy net says with which probability to push the cart to the right. After some episodes each
action is made more likely by how much better than usual what followed was: the loss is the mean of
``-log p(action) * advantage``. Its derivative by p is written down by hand, and ``backward`` takes
it from there: the four words as four lines, in a loop of one's own.
It needs ``pip install gymnasium``.
"""

import gymnasium
import numpy as np

import fastbackprop as fb

EPISODES_OF_A_STEP, STEPS, DISCOUNT = 10, 60, 0.99


def discounted(rewards: list[float]) -> np.ndarray:
    """Return for each moment the sum of the rewards that follow, later ones counting less."""
    returns = np.zeros(len(rewards))
    total = 0.0
    for i in reversed(range(len(rewards))):
        total = rewards[i] + DISCOUNT * total
        returns[i] = total
    return returns


def main() -> None:
    """Play, learn, and show the rewards."""
    rng = np.random.default_rng(0)
    world = gymnasium.make("CartPole-v1")
    policy = fb.mlp([4, 32, 1], activation="tanh", output_activation="sigmoid", seed=0)
    adam = fb.Adam(0.02)
    rewards_of_steps = []
    for step in range(STEPS):
        states, actions, returns, lengths = [], [], [], []
        for episode in range(EPISODES_OF_A_STEP):
            state, _ = world.reset(seed=EPISODES_OF_A_STEP * step + episode)
            rewards, done = [], False
            while not done:
                probability = policy.predict(state[None])[0, 0]
                action = int(rng.random() < probability)
                states.append(state)
                actions.append(action)
                state, reward, fell, is_over, _ = world.step(action)
                rewards.append(float(reward))
                done = fell or is_over
            returns.append(discounted(rewards))
            lengths.append(len(rewards))
        advantages = np.concatenate(returns)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

        p_right = policy.forward(np.array(states))[:, 0]
        went_right = np.array(actions) == 1
        p_action = np.where(went_right, p_right, 1 - p_right)
        d_log_p = np.where(went_right, 1, -1) / p_action  # by p_right
        policy.backward(-(advantages * d_log_p)[:, None] / len(actions))
        adam.step(policy)
        rewards_of_steps.append(np.mean(lengths))

    for step in range(0, STEPS, 6):
        reward = np.mean(rewards_of_steps[step : step + 6])
        print(f"step {step + 1:2}: reward {reward:5.1f} {'#' * int(reward / 10)}")
    print(f"first {rewards_of_steps[0]:.0f}, best {max(rewards_of_steps):.0f} of 500")


if __name__ == "__main__":
    main()
