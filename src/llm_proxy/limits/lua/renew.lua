-- Says that a process lives, and which of its leases are open.
--
-- KEYS: the processes; and of each lease: itself, and the counters of its claims.
-- ARGV: the process; seconds until it and its leases expire, and until a lease is
--   forgotten; and of each lease: its name and the number of its claims; and of each
--   claim: kind, amount, and the seconds that its counter is kept.
-- Returns how many processes live.

local processes = KEYS[1]
local process, lease_seconds, memory_seconds = ARGV[1], ARGV[2], ARGV[3]

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local expiry = string.format('%.0f', now + lease_seconds * 1000000)

-- What a counter holds may not be ours: that is trouble for its claim alone.
local renew = {}

function renew.concurrent(key, lease, _, seconds)
  redis.pcall('ZADD', key, expiry, lease)
  redis.call('EXPIRE', key, seconds)
end

function renew.money(key, _, amount, seconds, is_known)
  -- A Redis that starts again without its data hears again what is set aside.
  if not is_known then
    redis.pcall('HINCRBY', key, 'taken', amount)
    redis.call('EXPIRE', key, seconds)
  end
end

redis.call('ZREMRANGEBYSCORE', processes, '-inf', string.format('%.0f', now))
redis.call('ZADD', processes, expiry, process)
redis.call('EXPIRE', processes, memory_seconds)

local key, argument = 2, 4
while key <= #KEYS do
  local lease_key, lease, count = KEYS[key], ARGV[argument], ARGV[argument + 1]
  local state = redis.pcall('GET', lease_key)
  if state ~= 'settled' then
    redis.call('SET', lease_key, 'open', 'EX', memory_seconds)
  end
  key, argument = key + 1, argument + 2
  for _ = 1, tonumber(count) do
    local kind, amount, seconds = unpack(ARGV, argument, argument + 2)
    if state ~= 'settled' then
      renew[kind](KEYS[key], lease, amount, seconds, state == 'open')
    end
    key, argument = key + 1, argument + 3
  end
end
return redis.call('ZCARD', processes)
