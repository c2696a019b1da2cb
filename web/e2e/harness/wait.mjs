// Waiting for conditions. Nothing in these tests waits for a time to pass.
import { setTimeout as pause } from "node:timers/promises";

/**
 * Waits until what() gives something truthy, and returns that. The description completes "waited in vain for …"; state, when
 * given, is what a failure shows.
 */
export async function until(description, what, { deadline = 15_000, state } = {}) {
  const end = Date.now() + deadline;
  let thrown;
  for (;;) {
    try {
      const value = await what();
      if (value) return value;
      thrown = undefined;
    } catch (error) {
      thrown = error;
    }
    if (Date.now() > end) {
      const seen = state === undefined ? "" : `\n--- what was there instead:\n${String(await state()).slice(-2500)}`;
      throw new Error(`waited ${deadline / 1000} s in vain for ${description}${seen}`, { cause: thrown });
    }
    await pause(40); // between two looks, not for anything
  }
}
