/** What the checking mode asks: which page frames a range maps to. Also the model's, in tests. */
export interface PageWitness {
  /**
   * The frame behind each page, in order.
   * @param start page aligned, bytes
   * @param end page aligned, bytes, exclusive
   * @throws RegcacheError when this process may not know
   */
  frames(start: number, end: number): BigUint64Array;
  /** Called when the cache closes, and again should the rest of that fail. */
  close?(): void;
}
