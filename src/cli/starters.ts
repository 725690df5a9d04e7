/** The programs that `init` writes: the shortest for each platform that runs as it is. @module */

/** The files of a starter, by name. */
export type Starter = Readonly<Record<string, string>>

const STEPS = `
  const order = await workflows.prepareRun({ runId: 'order-17', workflow: 'order', policy: 'useExisting' })
  await persistence.append({ runId: 'order-17', workflow: 'order', kind: 'seen' })
  const seen = await persistence.getLatestSeq('order-17')`

/** Starters by platform. */
export const STARTERS: Readonly<Record<string, Starter>> = {
  node: {
    'holdfast.mjs': `// npm install holdfast better-sqlite3 && node holdfast.mjs
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
    'index.html': `<!doctype html>
<meta charset="utf-8" />
<title>holdfast</title>
<p id="seen">…</p>
<script type="module" src="./holdfast.mjs"></script>
`,
    'holdfast.mjs': `// npm install holdfast vite && npx vite
import { createHoldfast } from 'holdfast'
import { indexedDb } from 'holdfast/indexeddb'

const { workflows, persistence } = createHoldfast({ driver: indexedDb({ name: 'app' }) })

async function seen() {${STEPS}
  return \`\${order.created ? 'Started' : 'Found'} order-17, seen \${seen} times\`
}

document.querySelector('#seen').textContent = await seen()
`,
  },
  worker: {
    'wrangler.jsonc': `{
  "name": "holdfast-starter",
  "main": "holdfast.mjs",
  "compatibility_date": "2026-01-01",
  "durable_objects": { "bindings": [{ "name": "ORDERS", "class_name": "Orders" }] },
  "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Orders"] }]
}
`,
    'holdfast.mjs': `// npm install holdfast wrangler && npx wrangler dev
import { createHoldfast } from 'holdfast'
import { durableObject } from 'holdfast/durable-object'

// One object holds one store. Name as many objects as you need, for example one per customer.
export class Orders {
  #holdfast

  constructor(ctx) {
    this.#holdfast = createHoldfast({ driver: durableObject({ storage: ctx.storage }) })
  }

  async fetch() {
    const { workflows, persistence } = this.#holdfast${STEPS.replaceAll('\n', '\n  ')}
    return Response.json({ created: order.created, seen })
  }
}

export default {
  fetch: (request, { ORDERS }) => ORDERS.get(ORDERS.idFromName('main')).fetch(request),
}
`,
  },
}
