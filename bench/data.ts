/** What is stored: the same for every subject. */

export const RUN = 'bench'
/** Names that `set` and `get` go through. */
export const NAMES = 1000
/** Events that `load` reads. */
export const LOG = 10_000

const text = (length: number, seed: number): string =>
  Array.from({ length }, (_, i) => 'the quick brown fox jumps over the lazy dog, '[(i + seed * 7) % 45]).join('')

/** A payload of 250 bytes of JSON. */
const payloads = Array.from({ length: 64 }, (_, i) => ({
  order: `order-${100_000 + i}`,
  customer: { id: 4_000_000 + i, country: 'PT' },
  items: [
    { sku: 'kelp-01', count: 2, price: 12.5 },
    { sku: 'limpet-07', count: 1, price: 7.25 },
  ],
  note: text(81, i),
}))

/** A document of 1 kB of JSON. */
const documents = Array.from({ length: NAMES }, (_, i) => ({
  id: 10_000 + i,
  title: text(40, i),
  tags: ['alpha', 'beta', 'gamma'],
  active: true,
  lines: Array.from({ length: 8 }, (_, line) => ({
    line,
    sku: `item-${line}`,
    count: line * 3,
    note: text(46, i + line),
  })),
  summary: text(108, i),
}))

/** An event as all subjects store it. */
export const eventOf = (n: number): { kind: string; stepId: string; at: number; payload: unknown } => ({
  kind: 'step.completed',
  stepId: 'charge',
  at: Date.now(),
  payload: payloads[n % payloads.length],
})

/** Never the same twice: SQLite writes nothing, and syncs nothing, where an update leaves a page as it was. */
export const documentOf = (n: number): object => ({ ...documents[n % NAMES], revision: 1_000_000 + n })

export const nameOf = (n: number): string => `document-${10_000 + (n % NAMES)}`

export const PAYLOAD_BYTES: number = JSON.stringify(payloads[0]).length
export const DOCUMENT_BYTES: number = JSON.stringify(documentOf(0)).length
