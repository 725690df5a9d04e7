/** What became of one test of a vendor. */
export interface Result {
  /** Inside the vendor's repository. */
  readonly file: string
  readonly test: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
}

/** A vendor whose tests we know how to run. */
export interface Vendor {
  /** The package in `manifest`, by which a clone is known. */
  readonly name: string
  /** The path of its package.json in the repository. */
  readonly manifest: string
  /** Runs its tests, of which there is a copy in `directory`, against servers of its own. */
  run(directory: string): Promise<readonly Result[]>
}
