/** Tells what a long run does, with the minutes since it began: whoever waits for it wants to know how long. */
export function say(text: string): void {
  const seconds = Math.round(performance.now() / 1_000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  console.log(`${clock.padStart(6)}  ${text}`);
}
