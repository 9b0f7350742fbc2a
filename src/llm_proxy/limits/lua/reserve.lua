-- Takes everything that a call needs from the limits that bound it, or nothing.
--
-- KEYS: the processes; those that are awaited; what says that the lease is settled; and the
--   counter of each claim.
-- ARGV: when it is too late; the process; the lease's name, and seconds until it expires;
--   and of each claim: kind, limit, amount, the seconds that its counter is kept, and
--   where a counter of money starts, or nothing.
-- Returns {"stranger", now}, {"late", now}, {"unheard", now}, {"unknown", now, index ...}
--   or {"standings", now, living processes, granted, remaining, reset ...}.
-- All moments are in microseconds.

local MICROSECONDS = 1000000
local WINDOW = 60 * MICROSECONDS

local processes, awaited, settled = KEYS[1], KEYS[2], KEYS[3]
local deadline, process, lease, lease_seconds = unpack(ARGV, 1, 4)

local time = redis.call('TIME')
local now = time[1] * MICROSECONDS + time[2]

-- Lua would write large numbers with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

local function living()
  return redis.call('ZCOUNT', processes, whole(now + 1), '+inf')
end

-- Whether all processes have told what they had set aside when Redis lost its data.
local function is_heard()
  return redis.call('ZCOUNT', awaited, whole(now + 1), '+inf') == 0
end

-- Forgets the first entries of a window that have left it, or that a clock which has gone
-- back since would keep for long; returns whether all were such.
local function forget(key, count)
  local log, old = key .. ':log', {}
  local entries = redis.call('LRANGE', log, 0, count - 1)
  for _, entry in ipairs(entries) do
    local at, name = entry:match('^(%d+) (.*)$')
    if math.abs(now - at) < WINDOW then
      break
    end
    old[#old + 1] = name
  end
  if #entries == 0 then
    redis.call('DEL', key)
  elseif #old > 0 then
    local sum = 0
    for _, amount in ipairs(redis.call('HMGET', key, unpack(old))) do
      sum = sum + (amount or 0)
    end
    redis.call('LTRIM', log, #old, -1)
    redis.call('HDEL', key, unpack(old))
    redis.call('HINCRBY', key, 'sum', whole(0 - sum))
  end
  return #entries > 0 and #old == #entries
end

-- A window is a list of moments and leases, and a hash of their amounts.
local window = {}

function window.used(claim)
  -- Most calls find one old entry, or none.
  local is_more = forget(claim.key, 1)
  while is_more do
    is_more = forget(claim.key, 100)
  end
  return tonumber(redis.call('HGET', claim.key, 'sum') or 0)
end

function window.take(claim)
  local log = claim.key .. ':log'
  redis.call('RPUSH', log, whole(now) .. ' ' .. lease)
  -- What may be given back is noted last, so that an error leaves it taken.
  redis.call('HINCRBY', claim.key, 'sum', claim.amount)
  redis.call('HSET', claim.key, lease, claim.amount)
  redis.call('EXPIRE', log, claim.seconds)
  redis.call('EXPIRE', claim.key, claim.seconds)
end

function window.reset(claim)
  local oldest = redis.call('LINDEX', claim.key .. ':log', 0)
  return oldest and oldest:match('^%d+') + WINDOW - now or 0
end

-- Places are leases, by the moment when they expire.
local places = {}

function places.used(claim)
  redis.call('ZREMRANGEBYSCORE', claim.key, '-inf', whole(now))
  return redis.call('ZCARD', claim.key)
end

function places.take(claim)
  redis.call('ZADD', claim.key, whole(now + lease_seconds * MICROSECONDS), lease)
  redis.call('EXPIRE', claim.key, claim.seconds)
end

function places.reset()
  return 0
end

-- Money is what was spent at first, and what was taken since; leases stand beside it with
-- their amounts until they are settled. What a process that died had set aside stays.
local money = {reset = places.reset}

function money.used(claim)
  local start, taken = unpack(redis.call('HMGET', claim.key, 'start', 'taken'))
  if not start and claim.start ~= '' and is_heard() then
    start = claim.start
    redis.call('HSET', claim.key, 'start', start)
    redis.call('EXPIRE', claim.key, claim.seconds)
  end
  return start and start + (taken or 0)
end

function money.take(claim)
  redis.call('HINCRBY', claim.key, 'taken', claim.amount)
  redis.call('HSET', claim.key, lease, claim.amount)
  redis.call('EXPIRE', claim.key, claim.seconds)
end

local KINDS = {requests = window, tokens = window, concurrent = places, money = money}

-- Redis has lost what it knew, or has not heard of the process for too long.
if tonumber(redis.call('ZSCORE', processes, process) or 0) <= now then
  return {'stranger', now}
end
-- Nobody waits for it, and nobody would give it back before its process is back.
if now > tonumber(deadline) then
  return {'late', now}
end
-- It was given up before it came here. Redis lets a script that has begun to write go on
-- when its memory is full.
if redis.call('DEL', settled) == 1 then
  return redis.error_reply('ERR the lease is settled')
end

local claims, unknown, is_granted = {}, {'unknown', now}, true
for index = 1, #KEYS - 3 do
  local kind, limit, amount, seconds, start = unpack(ARGV, 5 * index, 5 * index + 4)
  local claim = {
    key = KEYS[index + 3], kind = KINDS[kind], limit = tonumber(limit),
    amount = amount, seconds = seconds, start = start,
  }
  claim.used = claim.kind.used(claim)
  if claim.used then
    claim.is_granted = claim.used + amount <= claim.limit
    is_granted = is_granted and claim.is_granted
  else
    unknown[#unknown + 1] = index
  end
  claims[index] = claim
end
if #unknown > 2 then
  return is_heard() and unknown or {'unheard', now}
end

local standings = {'standings', now, living()}
for _, claim in ipairs(claims) do
  if is_granted then
    claim.kind.take(claim)
    claim.used = claim.used + claim.amount
  end
  standings[#standings + 1] = claim.is_granted and 1 or 0
  standings[#standings + 1] = math.max(0, claim.limit - claim.used)
  standings[#standings + 1] = claim.kind.reset(claim)
end
return standings
