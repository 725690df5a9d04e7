/** Workflows with a name, a version, and types for what goes in and out. @module */
import { requireGiven } from '../core/arguments.ts'
import { invalid } from '../core/errors.ts'
import { encodeId } from '../core/keys.ts'
import { requireName } from './ids.ts'
import type { AnySchema, Context, Messages, Schema, Workflow, WorkflowDefinition } from './types.ts'

/** What a schema turns its input into. */
export type OutputOf<S> = S extends Schema<infer _, infer Out> ? Out : unknown

/** The payloads of declared messages; where none are declared, any may come. */
export type PayloadsOf<M> = string extends keyof M
  ? Messages
  : [keyof M] extends [never]
    ? Messages
    : { readonly [K in keyof M]: OutputOf<M[K]> }

/** What a definition says of a workflow. */
export interface DefinitionOptions<S extends AnySchema | undefined, M extends Readonly<Record<string, AnySchema>>> {
  /** 1 to 200 bytes. */
  readonly name: string
  /** A run keeps the version that it was started with, and is run by a worker that has this one. */
  readonly version?: string
  /** Checks what runs are started with. */
  readonly input?: S
  /** Checks messages where they are sent, by name. */
  readonly messages?: M
}

/**
 * Defines a workflow.
 *
 * @param options - its name, and what is checked
 * @param fn - the workflow. It is called from its beginning each time the run goes on, and finds the results of its steps in
 *   the log; so what it does outside of steps must come out the same
 * @returns what `run`, `start`, `work` and `drain` take
 * @throws `INVALID_ARGUMENT` for a malformed name or version
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { defineWorkflow, run } from 'holdfast/run'
 *
 * const greet = defineWorkflow({ name: 'greet' }, async (ctx, input: { name: string }) => {
 *   return ctx.step('greet', () => `Hello, ${input.name}`)
 * })
 * const holdfast = createHoldfast({ driver: memory() })
 * console.log(await run(holdfast, greet, { runId: 'r1', input: { name: 'Ada' } })) // { status: 'completed', result: 'Hello, Ada' }
 * ```
 */
export function defineWorkflow<
  I,
  R,
  M extends Readonly<Record<string, AnySchema>> = Readonly<Record<string, AnySchema>>,
>(
  options: DefinitionOptions<undefined, M>,
  fn: (context: Context<I, PayloadsOf<M>>, input: I) => Promise<R>,
): WorkflowDefinition<I, R, PayloadsOf<M>>
export function defineWorkflow<
  S extends AnySchema,
  R,
  M extends Readonly<Record<string, AnySchema>> = Readonly<Record<string, AnySchema>>,
>(
  options: DefinitionOptions<S, M> & { readonly input: S },
  fn: (context: Context<OutputOf<S>, PayloadsOf<M>>, input: OutputOf<S>) => Promise<R>,
): WorkflowDefinition<OutputOf<S>, R, PayloadsOf<M>>
export function defineWorkflow(
  options: DefinitionOptions<AnySchema | undefined, Readonly<Record<string, AnySchema>>>,
  fn: Workflow<unknown, never>,
): WorkflowDefinition<never> {
  const { name, version, input, messages } = requireGiven(options, 'options')
  requireName(name, 'workflow')
  if (version !== undefined) encodeId(version, 'version')
  if (typeof fn !== 'function') throw invalid('fn must be the function of the workflow')
  return { name, version, input, messages, fn }
}

/** Makes a definition of a function that has none. */
export const bare = <R, I>(
  name: string,
  version: string | undefined,
  fn: Workflow<R, I>,
): WorkflowDefinition<I, R> => ({
  name,
  version,
  input: undefined,
  messages: undefined,
  fn,
})

/**
 * Checks a value by a schema.
 *
 * @returns what the schema makes of it
 * @throws `INVALID_ARGUMENT` with the issues
 */
export async function checked(schema: AnySchema | undefined, value: unknown, what: string): Promise<unknown> {
  if (!schema) return value
  const found = await schema['~standard'].validate(value)
  if (found.issues === undefined) return found.value
  const issues = found.issues.map(({ message, path = [] }) => [...path.map((it) => pathOf(it)), message].join(': '))
  throw invalid(`${what} is not what the workflow takes: ${issues.join('; ')}`)
}

const pathOf = (it: unknown): string => String(typeof it === 'object' && it !== null && 'key' in it ? it.key : it)
