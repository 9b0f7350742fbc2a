-- Says that a process lives, and which of its leases are open.
--
-- KEYS: the processes, and those that are awaited; and of each lease: what says that it is
--   settled, and the counters of its claims.
-- ARGV: when it is too late; the process; seconds until it and its leases expire, and
--   until it is forgotten; how many others it knows of, or nothing if there are more
--   leases to tell; their names; and of each lease: its name and the number of its
--   claims; and of each claim: kind, amount, and the seconds that its counter is kept.
-- Returns {"late", now} or {"processes", now, each that lives ...}, in microseconds.

local processes, awaited = KEYS[1], KEYS[2]
local deadline, process, lease_seconds, memory_seconds, known = unpack(ARGV, 1, 5)

-- Lua would write large numbers with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local expiry = whole(now + lease_seconds * 1000000)

-- By now its leases may be settled, and that forgotten.
if now > tonumber(deadline) then
  return {'late', now}
end

-- First: Redis lets a script that has begun to write go on when its memory is full.
local forgotten = whole(now - memory_seconds * 1000000)
redis.call('ZREMRANGEBYSCORE', processes, '-inf', forgotten)

-- What a counter holds may not be ours: that is trouble for its claim alone.
local renew = {}

function renew.concurrent(key, lease, _, seconds)
  redis.pcall('ZADD', key, expiry, lease)
  redis.call('EXPIRE', key, seconds)
end

function renew.money(key, lease, amount, seconds)
  -- A Redis that has lost the counter hears again what is set aside.
  if redis.pcall('HEXISTS', key, lease) == 0 then
    redis.call('HINCRBY', key, 'taken', amount)
    redis.call('HSET', key, lease, amount)
    redis.call('EXPIRE', key, seconds)
  end
end

local key, argument = 3, 6 + (tonumber(known) or 0)
while key <= #KEYS do
  local settled, lease, count = KEYS[key], ARGV[argument], ARGV[argument + 1]
  local is_settled = redis.call('EXISTS', settled) == 1
  key, argument = key + 1, argument + 2
  for _ = 1, tonumber(count) do
    local kind, amount, seconds = unpack(ARGV, argument, argument + 2)
    if not is_settled then
      renew[kind](KEYS[key], lease, amount, seconds)
    end
    key, argument = key + 1, argument + 3
  end
end
if known ~= '' then
  -- Whom Redis does not know, though it would even if they were dead, it has lost, and with
  -- them what they have set aside; who lives tells that before it would count as dead.
  redis.call('ZREMRANGEBYSCORE', awaited, '-inf', whole(now))
  if redis.call('ZADD', processes, expiry, process) == 1 then
    for index = 6, 5 + known do
      if not redis.call('ZSCORE', processes, ARGV[index]) then
        redis.call('ZADD', awaited, 'NX', expiry, ARGV[index])
      end
    end
  end
  redis.call('ZREM', awaited, process)
  redis.call('EXPIRE', awaited, memory_seconds)
  redis.call('EXPIRE', processes, memory_seconds)
end
local living = redis.call('ZRANGEBYSCORE', processes, whole(now + 1), '+inf')
return {'processes', now, unpack(living)}
