/** Tests of vendors that cannot pass against a local server, and why. Whatever else fails is a defect of ours. */

/** One reason, and what fails for it. */
interface Exception {
  readonly vendor: string
  /** Of the file's path. */
  readonly file: RegExp
  /** Of the test's name; all of the file where it is left out. */
  readonly test?: RegExp
  readonly reason: string
}

const UPSTASH = '@upstash/redis'
const NEON = '@neondatabase/serverless'

export const EXCEPTIONS: readonly Exception[] = [
  {
    vendor: UPSTASH,
    file: /\/(json_\w+|h\w*expire\w*|hp?ttl|hpersist|hgetdel|hgetex|hsetex|xackdel|xdelex|bitop)\.test/,
    reason: 'commands that the redis-server behind it does not have: JSON, fields that expire, and those of Redis 8',
  },
  {
    vendor: UPSTASH,
    file: /(auto-)?pipeline\.test/,
    test: /large Promise\.all|JSON|json\.|works/i,
    reason: 'makes use of JSON and of fields that expire',
  },
  { vendor: UPSTASH, file: /\/search\.test|\/redis\.test/, test: /./, reason: 'SEARCH is a service of its own' },
  { vendor: UPSTASH, file: /\/p?subscribe\.test/, reason: 'a local server does not stream' },
  { vendor: UPSTASH, file: /\/scan\.test/, test: /withType/, reason: 'WITHTYPE is an option of Upstash alone' },
  { vendor: UPSTASH, file: /\/copy\.test/, test: /same source/, reason: 'Redis refuses to copy a key to itself' },
  { vendor: UPSTASH, file: /\/xtrim\.test/, test: /approximately/, reason: 'Redis trims whole nodes of a hundred' },
  { vendor: UPSTASH, file: /\/xreadgroup\.test/, test: /NOACK/, reason: 'Redis lists consumers with nothing pending' },
  { vendor: UPSTASH, file: /functions\.integration/, test: /FCALL_RO/, reason: 'Redis asks functions for the flag' },
  {
    vendor: NEON,
    file: /\/http\.test/,
    test: /wrong project/,
    reason: 'a local server has no projects: it is the same under every name',
  },
]
