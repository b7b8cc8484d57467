/** So many are joined at a time: a text has few parts, and no character is copied more than twice. */
const piecesMax = 64;

/**
 * A text that comes in many small pieces. Appended to one string each of them would stay an object of its own, with
 * another that links it: some 60 bytes for a token of four letters, for as long as the answer is made.
 */
export class GrowingText {
  #parts: string[] = [];
  #pieces: string[] = [];

  append(piece: string): void {
    if (piece === '') return;
    this.#pieces.push(piece);
    if (this.#pieces.length < piecesMax) return;
    this.#parts.push(this.#pieces.join(''));
    this.#pieces = [];
  }

  isEmpty(): boolean {
    return this.#parts.length === 0 && this.#pieces.length === 0;
  }

  toString(): string {
    return this.#parts.join('') + this.#pieces.join('');
  }
}
