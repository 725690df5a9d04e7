/** How much the tests in browsers do: a slice of it, or all of it by `npm run test:browsers`. */

export const isLongRun: boolean = process.env['HOLDFAST_BROWSERS'] === 'long'

/** Of what is random; `HOLDFAST_SEED` repeats a run. */
export const seed: number = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1e6)
