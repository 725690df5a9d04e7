/** What a long run says: a line a file, the tests that failed, and at the end why. */
import { DefaultReporter } from 'vitest/node'

export default class LineReporter extends DefaultReporter {
  /** Of a file with a failure vitest names every test, and some have thousands. */
  protected override printTestCase(...[state, test]: Parameters<DefaultReporter['printTestCase']>): void {
    if (test.result().state === 'failed') super.printTestCase(state, test)
  }
}
