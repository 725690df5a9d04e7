/** How many random histories the tests go through, and how long they may take. */

const runs = process.env['HOLDFAST_MODEL_RUNS']

/** How many random histories a test goes through. */
export const modelRuns = (byDefault: number): number => Number(runs ?? byDefault)

/** How long a test may take, in milliseconds. */
export const LONG = runs === undefined ? 60_000 : 3_600_000

/** Of fast-check: in time to tell what it has found, also where the search for a shorter history takes long. */
export const settings = (numRuns: number) => ({
  numRuns,
  interruptAfterTimeLimit: LONG * 0.7,
  markInterruptAsFailure: true,
})
