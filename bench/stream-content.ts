/** What the provider of the streams benchmark says, so that provider, load and rows can be held against each other. */
export function tokenOf(seed: string, index: number): string {
  return ` ${seed}-${index}`;
}

export function answerOf(seed: string, tokens: number): string {
  return Array.from({ length: tokens }, (_, index) => tokenOf(seed, index)).join('');
}
