/**
 * The Lua script that does all the work in Redis, so that each request is one command.
 *
 * A database is one namespace, whose keys share a hash tag:
 *
 * | key | type | holds |
 * | --- | --- | --- |
 * | `{namespace}:e:part` | hash | the part's entries: key to `expiry \n version \n value` |
 * | `{namespace}:k:part` | sorted set | the same keys at score 0, in the order of their bytes |
 * | `{namespace}:x:part` | sorted set | the keys that expire, by time |
 * | `{namespace}:p:shard` | sorted set | the parts that hold an entry, at score 0 |
 * | `{namespace}:g:shard` | sorted set | the parts that Redis expires as a whole, by time |
 * | `{namespace}:r:request` | string | the record of a request, `until:digest:verdicts`: until when a repeat is answered, a digest and the verdicts; kept for as long again |
 * | `{namespace}:schema` | string | the version of this layout |
 *
 * Every key that the script touches is declared; it searches for none. Everything that can fail is tried before the
 * first change, because Redis does not undo what a script did before it failed. Numbers are sent as text, because JSON
 * and Lua would round them.
 *
 * `encode.ts` documents the arguments, `decode.ts` the answers.
 *
 * @module
 */
import { COMMIT } from './script-commit.ts'
import { READ } from './script-read.ts'

/** The version of the layout, stored under the schema key. */
export const SCHEMA_VERSION = 1

const BODY = `
local position = 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local unlimited = math.huge
local budget = unlimited

local function text(number) return string.format('%.0f', number) end
local function take() position = position + 1 return ARGV[position] end
local function takeNumber() return tonumber(take()) end

local function headOf(packed) return string.match(packed, '^[^\\n]*\\n[^\\n]*\\n') end
-- The version of an entry that exists and has not expired.
local function live(packed)
  if not packed then return nil end
  local expiry, version = string.match(packed, '^(%d*)\\n([^\\n]*)\\n')
  if expiry ~= '' and tonumber(expiry) <= now then return nil end
  return version
end
local function fits(bytes)
  if bytes > budget then return false end
  budget = budget - bytes
  return true
end
-- The most bytes of a name in JSON: some encoders write six characters for one of HTML.
local function weight(name)
  if not string.find(name, '[\\\\"<>&]') then return #name end
  local _, escapes = string.gsub(name, '[\\\\"]', '')
  local _, html = string.gsub(name, '[<>&]', '')
  return #name + escapes + 5 * html
end
-- The bytes that an entry takes of the answer.
local function charge(key, packed, version)
  return 64 + weight(key) + weight(version) - #version + #packed
end

-- The checks of a first call: server, layout, and eviction policy.
local greeting
if ARGV[1] == 'open' then
  local probe = redis.pcall('ZRANGE', KEYS[2], '[a', '[b', 'BYLEX', 'LIMIT', 0, 1)
  local version = redis.call('GET', KEYS[1])
  local state, policy = 'ok', ''
  if probe.err then
    state = 'old'
  elseif ARGV[3] == '0' then
    local info = redis.pcall('INFO', 'memory')
    policy = type(info) == 'string' and string.match(info, 'maxmemory_policy:([%w-]+)') or ''
    if policy ~= 'noeviction' then state = 'wait' end
  end
  if not version and state == 'ok' then
    version = ARGV[2]
    redis.call('SET', KEYS[1], version)
  end
  greeting = { state, version or '', policy }
  if #ARGV == 3 or state ~= 'ok' or version ~= ARGV[2] then return { text(now), greeting } end
  for i = 1, 3 do
    if i < 3 then table.remove(KEYS, 1) end
    table.remove(ARGV, 1)
  end
end
local function reply(answers)
  if greeting then table.insert(answers, 2, greeting) end
  return answers
end

${READ}
${COMMIT}`

/** A script, and its SHA-1, by which a server knows it. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/** For servers without locks by key, such as Redis itself. */
export const PLAIN: Script = { source: BODY, sha: '3977a74178c215284fa99521481bc881e4a3acc5' }

/** For Upstash: locks the declared keys; otherwise it would lock the database. Redis refuses the flag. */
export const LOCKING: Script = {
  source: `#!lua flags=allow-key-locking\n${BODY}`,
  sha: '4720b19b3a79ed9a17cfc635b209f1dce2053382',
}
