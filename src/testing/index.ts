/**
 * The conformance suite: the behaviour of every driver, as cases that need no test runner.
 *
 * @module
 */
export type { Backend, Case, CaseBase, Context, GatedCase, Group, Harness, PlainCase } from './case.ts'
export { cases } from './cases.ts'
export type { Client, RangeOptions, Written } from './client.ts'
export { type ConformanceOptions, type Runner, type Skip, conformance, runCase } from './suite.ts'
