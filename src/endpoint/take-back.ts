/**
 * Close what was made, the last first, before the error that led here goes on: it matters more than one of a closing,
 * and what cannot be closed ends with the process.
 */
export function takeBack(made: readonly { close(): void }[]): void {
  for (const each of [...made].reverse()) {
    try {
      each.close();
    } catch {
      // The others are closed all the same.
    }
  }
}
