/** So many are joined at a time: a text has few parts, and no character is copied more than twice. */
const piecesMax = 64;

/**
 * A text that comes in many small pieces. Appended to one string each of them would stay an object of its own, with
 * another that links it: some 60 bytes for a token of four letters, for as long as the answer is made.
 */
export class GrowingText {
  #joined = '';
  /** Most of the texts that an answer may have never begin. */
  #pieces: string[] | undefined;

  append(piece: string): void {
    if (piece === '') return;
    this.#pieces ??= [];
    this.#pieces.push(piece);
    if (this.#pieces.length < piecesMax) return;
    this.#joined += this.#pieces.join('');
    this.#pieces = undefined;
  }

  isEmpty(): boolean {
    return this.#joined === '' && this.#pieces === undefined;
  }

  toString(): string {
    return this.#joined + (this.#pieces?.join('') ?? '');
  }
}
