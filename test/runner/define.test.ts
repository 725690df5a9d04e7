import { describe, expect, test } from 'vitest'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { definitionFor } from '../../src/runner/define.ts'
import { type Schema, defineWorkflow, drain, run, start, work } from '../../src/runner/index.ts'

/** A schema in the form that every library of Standard Schema has. */
const schema = <T>(name: string, check: (value: unknown) => T | undefined): Schema<T> => ({
  '~standard': {
    validate(value) {
      const found = check(value)
      return found === undefined ? { issues: [{ message: 'is wrong', path: [name] }] } : { value: found }
    },
  },
})
const cents = schema('cents', (value) => (typeof value === 'number' ? value : undefined))
const approval = schema('by', (value) => {
  const { by } = (value ?? {}) as { by?: unknown }
  return typeof by === 'string' ? { by } : undefined
})

describe('a defined workflow', () => {
  const order = defineWorkflow(
    { name: 'order', input: cents, messages: { approved: approval } },
    async (ctx, input) => {
      const { by } = await ctx.message('approved')
      return `${by} approved ${input.toFixed(0)}`
    },
  )

  test('has its input and its messages checked where they are handed in', async () => {
    const holdfast = createHoldfast({ driver: memory() })
    const wrong = { runId: 'r', input: 'much' as unknown as number }
    await expect(start(holdfast, order, wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(run(holdfast, order, wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    // @ts-expect-error -- without the input that the workflow takes, it must not compile
    await expect(start(holdfast, order, { runId: 'r' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await holdfast.workflows.getRun('r')).toBeUndefined()
    const handle = await start(holdfast, order, { runId: 'r', input: 42 })
    await expect(handle.send('approved', {} as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await handle.send('approved', { by: 'ada' })
    expect(await drain(holdfast, [order])).toBe(1)
    expect(await handle.result()).toBe('ada approved 42')
  })

  test('is started once under an id', async () => {
    const holdfast = createHoldfast({ driver: memory() })
    const first = defineWorkflow({ name: 'order', version: '1' }, async () => 1)
    const second = defineWorkflow({ name: 'order', version: '2' }, async () => 2)
    await start(holdfast, first, { runId: 'r' })
    const handle = await start(holdfast, second, { runId: 'r' })
    expect((await handle.get())?.definitionVersion).toBe('1')
    await expect(start(holdfast, second, { runId: 'r', policy: 'fail' })).rejects.toMatchObject({
      code: expect.stringMatching(/ALREADY_EXISTS|DEFINITION_MISMATCH/),
    })
    const other = defineWorkflow({ name: 'other' }, async () => 3)
    await expect(start(holdfast, other, { runId: 'r' })).rejects.toMatchObject({ code: 'WORKFLOW_MISMATCH' })
  })

  test('is refused where it is none, before anything is done', async () => {
    const holdfast = createHoldfast({ driver: memory() })
    for (const call of [
      async () => defineWorkflow({ name: '' }, async () => 1),
      async () => defineWorkflow({ name: 'a' }, 'no function' as never),
      () => run(holdfast, {} as never, { runId: 'r' }),
      () => run(holdfast, order, { runId: 'r', input: 1, lease: 'long' as never }),
      () => run(holdfast, order, { runId: 'r', input: 1, maxDeliveries: 0 }),
      () => drain(holdfast, [order, order]),
      () => drain(holdfast, order as never),
      () => work(holdfast, [order], { concurrency: 0, signal: AbortSignal.abort() }),
      () => work(holdfast, [order], { pollInterval: 0, signal: AbortSignal.abort() }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect((await holdfast.workflows.listRuns()).items).toEqual([])
  })

  test('runs a run of its own version, or of any if it has none', () => {
    const any = defineWorkflow({ name: 'order' }, async () => 1)
    const one = defineWorkflow({ name: 'order', version: '1' }, async () => 1)
    const two = defineWorkflow({ name: 'order', version: '2' }, async () => 1)
    const all = [one, any, two]
    const versionFor = (definitionVersion: string | undefined, workflow = 'order') =>
      definitionFor(all, { workflow, definitionVersion })
    expect(['1', '2', '3', undefined].map((version) => versionFor(version))).toEqual([one, two, any, two])
    expect(definitionFor([one, two], { workflow: 'order', definitionVersion: '3' })).toBeUndefined()
    expect(versionFor('1', 'other')).toBeUndefined()
  })
})

/** What does not compile: each line that is expected to fail would be an error if it did not. */
export function types(): unknown {
  return defineWorkflow({ name: 'typed', messages: { approved: approval } }, async (ctx, input: { cents: number }) => {
    await ctx.step('fine', () => ({
      at: new Date(),
      bytes: new Uint8Array(),
      big: 1n,
      set: new Set([1]),
      list: [input.cents],
    }))
    // @ts-expect-error -- a function cannot be stored
    await ctx.step('function', () => () => 1)
    // @ts-expect-error -- an instance of a class cannot be stored
    await ctx.step('response', async () => fetch('https://example.org'))
    // @ts-expect-error -- an instance of a class cannot be stored
    await ctx.step('url', () => new URL('https://example.org'))
    const { by } = await ctx.message('approved')
    const late: { by: string } | undefined = await ctx.message('approved', { timeout: '1 h' })
    return [by.length, late]
  })
}
