/** The value codec beside the runtime's own JSON, which checks nothing. */
import { encode } from '../../src/core/codec.ts'
import { NAMES, documentOf } from '../data.ts'
import { type Contender, type Figure, type RaceOptions, figure, race, speed } from '../measure.ts'

export interface Encoding {
  /** Nanoseconds per document. */
  readonly json: Figure
  readonly holdfast: Figure
  /** How many times as fast as JSON. */
  readonly toJson: Figure
}

export async function encodeDocuments(options: RaceOptions): Promise<Encoding> {
  const documents = Array.from({ length: NAMES }, (_, n) => documentOf(n))
  const contender = (name: string, write: (value: unknown) => unknown): Contender => ({
    name,
    async time(ops) {
      const start = performance.now()
      for (let n = 0; n < ops; n++) write(documents[n % NAMES])
      return performance.now() - start
    },
  })
  const [json, holdfast] = await race([contender('JSON', JSON.stringify), contender('holdfast', encode)], options)
  return { json: figure(json!.rounds), holdfast: figure(holdfast!.rounds), toJson: speed(holdfast!, json!) }
}
