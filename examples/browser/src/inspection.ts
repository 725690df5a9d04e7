/** The workflow of an inspection: save, check, wait, get approval, send. @module */
import type { Holdfast } from 'holdfast'
import { type WorkflowDefinition, defineWorkflow } from 'holdfast/run'

/** A photo; its bytes are a state value of the run. */
export interface Photo {
  readonly id: string
  readonly name: string
  /** Its media type. */
  readonly type: string
  /** In bytes. */
  readonly size: number
}

/** The content of an inspection, and the input of its run. */
export interface Inspection {
  readonly site: string
  readonly inspector: string
  /** In degrees Celsius. */
  readonly temperature: number
  readonly condition: string
  readonly notes: string
  readonly photos: readonly Photo[]
}

/** A supervisor's decision, sent to the run as a message. */
export interface Decision {
  readonly verdict: 'approved' | 'returned'
  readonly by: string
}

/** A result, and the tab that produced it. */
export interface Done {
  readonly text: string
  readonly tab: string
}

export const WORKFLOW = 'inspection'
export const DECISION = 'decision'

/** The stages of the workflow in order, by the step ids in its log. */
export const STAGES = [
  { stepId: 'measurements', title: 'Measurements' },
  { stepId: 'photos', title: 'Photos' },
  { stepId: 'sleep', title: 'Second thoughts' },
  { stepId: DECISION, title: 'Approval' },
  { stepId: 'submit', title: 'Report' },
] as const

/** The time in which an inspection can be withdrawn before a supervisor sees it. */
const SECOND_THOUGHTS = '5 s'
const MAX_TEMPERATURE = 60
/** A device may be offline for a long time, so the step gets a million attempts. A watching user soon sees one. */
const UNTIL_SENT = { maxAttempts: 1_000_000, initialDelay: 1000, maxDelay: 15_000 }
const ANSWER_WITHIN = 10_000

/** The key of a photo's bytes in the state of its run. */
export const photoKey = (id: string): string => `photo ${id}`

/**
 * Creates the workflow.
 *
 * @param holdfast - the stores with the photos
 * @param tab - the name of this tab, for the results of steps
 */
export const inspectionWorkflow = ({ state }: Holdfast, tab: string): WorkflowDefinition<Inspection, string> =>
  defineWorkflow({ name: WORKFLOW }, async (ctx, input: Inspection) => {
    const { runId } = ctx
    const read = async (photo: Photo): Promise<Uint8Array<ArrayBuffer>> => {
      const bytes = await state.get(photoKey(photo.id), { runId })
      if (bytes instanceof Uint8Array) return new Uint8Array(bytes)
      throw new Error(`The photo ${photo.name} is missing`)
    }

    await ctx.step('measurements', (): Done => {
      const verdict = input.temperature > MAX_TEMPERATURE ? 'too hot' : 'within limits'
      return { text: `${input.temperature} °C, ${verdict}; condition: ${input.condition}`, tab }
    })
    const sums = await ctx.step('photos', async (): Promise<Done & { sha256: string[] }> => {
      const sha256 = await Promise.all(input.photos.map(async (photo) => checksum(await read(photo))))
      return { text: `${sha256.length} checked`, sha256, tab }
    })
    await ctx.sleep(SECOND_THOUGHTS)
    const decision = await ctx.message<Decision>(DECISION)
    if (decision?.verdict !== 'approved') throw new Error('Sent back by the supervisor')
    const receipt = await ctx.step(
      'submit',
      async ({ idempotencyKey, signal }): Promise<Done> => {
        const body = new FormData()
        body.set('report', JSON.stringify({ ...input, sha256: sums.sha256, approvedBy: decision.by }))
        for (const photo of input.photos) {
          body.append('photo', new Blob([await read(photo)], { type: photo.type }), photo.name)
        }
        return { text: await send(body, idempotencyKey, signal), tab }
      },
      { retry: UNTIL_SENT },
    )
    return receipt.text
  })

/** Sends a report. The key lets the server recognise a repeated report. @returns the receipt */
async function send(body: FormData, idempotencyKey: string, signal: AbortSignal): Promise<string> {
  let response: Response
  try {
    response = await fetch('api/reports', {
      method: 'POST',
      headers: { 'idempotency-key': idempotencyKey },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN)]),
    })
  } catch (cause) {
    throw new Error('The server cannot be reached', { cause })
  }
  if (!response.ok) throw new Error(`The server answered ${response.status}`)
  const { receipt } = (await response.json()) as { readonly receipt: string }
  return receipt
}

async function checksum(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
