/** Random workflow programs: trees of what workflows are made of, and one change of such a tree, as a deploy makes it. */
import { type AnyWorkflow, type Context, defineWorkflow } from '../../../src/runner/index.ts'

/** Gives numbers from 0 to below n. */
export type Random = (n: number) => number

export type Node =
  | { step: string; readonly value: number; readonly fails: boolean; readonly flaky: boolean; readonly undone: boolean }
  | { readonly sleep: number }
  | { message: string }
  | { readonly child: number }
  | { seq: Node[] }
  | { all: Node[] }
  | { race: Node[] }
  | { readonly branch: Node[] }
  | { readonly loop: Node; times: number }

/** Mulberry32. */
export function random(seed: number): Random {
  let s = seed >>> 0
  return (n) => {
    s = (s + 0x6d2b79f5) >>> 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

export function generate(rnd: Random, depth = 3): Node {
  const pick = depth === 0 ? rnd(4) : rnd(10)
  if (pick <= 1) {
    return {
      step: 'abc'[rnd(3)]!,
      value: rnd(10),
      fails: rnd(8) === 0,
      flaky: rnd(6) === 0,
      undone: rnd(3) === 0,
    }
  }
  if (pick === 2) return rnd(3) === 0 ? { message: 'xy'[rnd(2)]! } : { sleep: rnd(3) }
  if (pick === 3) return { child: rnd(10) }
  const parts = Array.from({ length: 2 + rnd(2) }, () => generate(rnd, depth - 1))
  const made = [
    { seq: parts },
    { all: parts },
    { race: parts },
    { branch: parts },
    { loop: parts[0]!, times: 2 + rnd(2) },
  ]
  return made[(pick - 4) % made.length]!
}

/** What the world sees of a step. */
export type Effect = (stepName: string, idempotencyKey: string) => void

const tick = (): Promise<void> =>
  new Promise((resolve) => (Math.random() < 0.5 ? setImmediate(resolve) : setTimeout(resolve, Math.random() * 3)))

/** The run that programs start: it does one step. */
export const childOf = (effect: Effect): AnyWorkflow =>
  defineWorkflow({ name: 'child' }, (ctx, input: number) =>
    ctx.step(
      'work',
      async ({ idempotencyKey }) => {
        await tick()
        effect(`work of ${ctx.runId}`, idempotencyKey)
        if (input === 0) throw new Error('no child')
        return input
      },
      { retry: { maxAttempts: 1 } },
    ),
  )

/** Runs the tree; steps take a time that differs from run to run, as real ones do. */
export async function evaluate(node: Node, ctx: Context, effect: Effect, last = 0): Promise<number> {
  if ('step' in node) {
    return ctx.step(
      node.step,
      async ({ idempotencyKey, attempt }) => {
        await tick()
        if (node.flaky && attempt === 1) throw new Error('busy')
        effect(node.step, idempotencyKey)
        if (node.fails) throw new Error(`no ${node.value}`)
        return node.value + last
      },
      {
        retry: { maxAttempts: node.fails ? 1 : 30, initialDelay: 1 },
        ...(node.undone && {
          async compensate(result: number, { idempotencyKey }) {
            await tick()
            effect(`undo ${node.step} ${result}`, idempotencyKey)
          },
        }),
      },
    )
  }
  if ('sleep' in node) return ctx.sleep(node.sleep).then(() => last + 1)
  if ('message' in node) return ((await ctx.message<number>(node.message, { timeout: 20 })) ?? 7) + last
  if ('child' in node) {
    const child = await ctx.start(childOf(effect), { input: node.child })
    return ((await child.result()) as number) + last
  }
  const safe = (it: Node, from: number): Promise<number> =>
    evaluate(it, ctx, effect, from).catch((error: Error) => error.message.length)
  if ('seq' in node) {
    for (const it of node.seq) last = await safe(it, last)
    return last
  }
  if ('all' in node)
    return (await Promise.all(node.all.map((it) => safe(it, last)))).reduce((a, b) => (a * 3 + b) % 9973, 0)
  if ('race' in node)
    return Promise.race(node.race.map((it, i) => safe(it, last).then((value) => (value * 10 + i) % 9973)))
  if ('branch' in node) {
    return safe(node.branch[(await safe(node.branch[0]!, last)) % node.branch.length]!, last)
  }
  for (let i = 0; i < node.times; i++) last = await safe(node.loop, last)
  return last
}

/** All nodes of a tree. */
function nodesOf(root: Node): Node[] {
  const found: Node[] = []
  const visit = (node: Node): void => {
    found.push(node)
    const parts =
      'seq' in node
        ? node.seq
        : 'all' in node
          ? node.all
          : 'race' in node
            ? node.race
            : 'branch' in node
              ? node.branch
              : 'loop' in node
                ? [node.loop]
                : []
    parts.forEach(visit)
  }
  visit(root)
  return found
}

/** One change of the code: a name, an order, something more or less, another kind, a loop's count, a race's arms. */
export function mutate(tree: Node, rnd: Random): Node {
  const copy = structuredClone(tree)
  const nodes = nodesOf(copy)
  const lists = nodes.flatMap((node) =>
    'seq' in node ? [node.seq] : 'all' in node ? [node.all] : 'race' in node ? [node.race] : [],
  )
  const steps = nodes.filter((node) => 'step' in node)
  const loops = nodes.filter((node) => 'times' in node)
  for (;;) {
    const what = rnd(7)
    if (what === 0 && steps.length > 0) {
      steps[rnd(steps.length)]!.step = 'renamed'
      return copy
    }
    const list = lists.length > 0 ? lists[rnd(lists.length)]! : undefined
    if (what === 1 && list) return (list.push(list.shift()!), copy)
    if (what === 2 && list) return (list.splice(rnd(list.length + 1), 0, { ...stepOf('inserted') }), copy)
    if (what === 3 && list) return (list.splice(rnd(list.length), 1), copy)
    if (what === 4 && list) {
      list[rnd(list.length)] = rnd(2) ? { sleep: 1 } : { message: 'x' }
      return copy
    }
    if (what === 5 && loops.length > 0) {
      loops[rnd(loops.length)]!.times += rnd(2) ? 1 : -1
      return copy
    }
    if (what === 6) return { seq: [stepOf('first'), copy] }
  }
}

const stepOf = (step: string): Node => ({ step, value: 1, fails: false, flaky: false, undone: false })
