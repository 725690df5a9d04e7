import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { defineWorkflow, run, start } from '../../src/runner/index.ts'
import { inPlace } from './support.ts'

/** A module as a user writes it, with a step of this name. */
const moduleOf = (step: string): string => `
import { defineWorkflow } from ${JSON.stringify(pathToFileURL(resolve(import.meta.dirname, '../../dist/runner/index.js')).href)}
export const order = defineWorkflow({ name: 'replayed' }, async (ctx) => {
  await ctx.step('${step}', () => 1)
  await ctx.message('go')
})
`

test('replay tells which runs a change of the code does not fit; runs --aside shows what was put aside', () =>
  inPlace(async ({ directory, run: command, within }) => {
    writeFileSync(join(directory, 'same.mjs'), moduleOf('charge'))
    writeFileSync(join(directory, 'other.mjs'), moduleOf('bill'))
    writeFileSync(join(directory, 'none.mjs'), 'export const nothing = 1')
    const before = await within(async (holdfast) => {
      const order = defineWorkflow({ name: 'replayed' }, async (ctx) => {
        await ctx.step('charge', () => 1)
        await ctx.message('go')
      })
      await run(holdfast, order, { runId: 'r1', maxWait: 0 })
      await start(holdfast, order, { runId: 'r2' })
      return holdfast.persistence.load('r1')
    })
    const same = await command('replay', '--workflows', './same.mjs')
    expect(same).toMatchObject({ code: 0, out: expect.stringContaining('2 replayed, 0 do not fit') })
    const other = await command('replay', '--workflows', './other.mjs')
    expect(other).toMatchObject({ code: 1, out: expect.stringContaining('r1  NON_DETERMINISTIC') })
    expect(other.out).toContain('2 replayed, 1 do not fit')
    expect((await command('replay', '--workflows', './other.mjs', 'r2')).code).toBe(0)
    expect((await command('replay', '--workflows', './same.mjs', 'r3')).code).toBe(3)
    writeFileSync(join(directory, 'another.mjs'), moduleOf('charge').replace('replayed', 'another'))
    const another = await command('replay', '--workflows', './another.mjs', 'r1')
    expect(another).toMatchObject({ code: 1, out: expect.stringContaining('r1  not replayed') })
    expect((await command('replay', '--workflows', './none.mjs')).code).toBe(2)
    expect((await command('replay', '--workflows', './missing.mjs')).code).toBe(2)
    expect(await within((holdfast) => holdfast.persistence.load('r1'))).toEqual(before)
    expect((await command('runs', '--aside')).out).not.toContain('r1')
    await within(async (holdfast) => {
      const wrong = defineWorkflow({ name: 'replayed' }, async (ctx) => ctx.step('bill', () => 1))
      await run(holdfast, wrong, { runId: 'r1', grace: 20 }).catch(() => {})
    })
    const aside = await command('runs', '--aside')
    expect(aside.out).toContain('r1')
    expect(aside.out).toContain('recorded')
    expect(aside.out).not.toContain('r2')
  }))
