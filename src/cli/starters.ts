/** What `init` writes: the shortest program for each place, that runs as it is. @module */

/** A file of a starter, by its name. */
export type Starter = Readonly<Record<string, string>>

const STEPS = `
  const order = await workflows.prepareRun({ runId: 'order-17', workflow: 'order', policy: 'useExisting' })
  await persistence.append({ runId: 'order-17', workflow: 'order', kind: 'seen' })
  const seen = await persistence.getLatestSeq('order-17')`

/** By where it runs. */
export const STARTERS: Readonly<Record<string, Starter>> = {
  node: {
    'holdfast.mjs': `// npm install holdfast better-sqlite3 drizzle-orm && node holdfast.mjs
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'

const { workflows, persistence, close } = createHoldfast({ driver: sqlite({ path: 'app.db' }) })
try {${STEPS}
  console.log(order.created ? 'Started' : 'Found', 'order-17, seen', seen, 'times')
} finally {
  await close()
}
`,
  },
  browser: {
    'holdfast.mjs': `// npm install holdfast, and have a bundler take it from here
import { createHoldfast, memory } from 'holdfast'

// The memory driver forgets with the page; put a driver for the browser here.
const { workflows, persistence } = createHoldfast({ driver: memory() })

export async function seen() {${STEPS}
  return { created: order.created, seen }
}
`,
  },
  worker: {
    'holdfast.mjs': `// npm install holdfast, and deploy it with your Worker's own tool
import { createHoldfast, memory } from 'holdfast'

// The memory driver forgets with the isolate; put a driver for the edge here.
let holdfast

export default {
  async fetch() {
    holdfast ??= createHoldfast({ driver: memory() })
    const { workflows, persistence } = holdfast${STEPS.replaceAll('\n', '\n  ')}
    return Response.json({ created: order.created, seen })
  },
}
`,
  },
}
