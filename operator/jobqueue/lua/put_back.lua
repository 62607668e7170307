-- Gives a job back that a worker has: after a failed attempt, or because the worker ends.
-- ARGV: worker, entry, id, ms that count as passed of its lease, 1 if the attempt counts, most attempts, TTL, reason.
local worker, entry, id, idle, counts = unpack(ARGV, 1, 5)
local most, ttl, reason = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
ensure_group()
if not is_held(entry, worker) or redis.call('HGET', job_key(id), 'status') ~= 'in_progress' then
  return
end
local attempts = tonumber(redis.call('HGET', job_key(id), 'attempts'))
if counts == '1' and attempts >= most then
  bury(id, attempts, ttl, reason)
  return
end
redis.call('XCLAIM', jobs, GROUP, worker, 0, entry, 'IDLE', idle, 'JUSTID') -- first: a full Redis takes it
redis.call('HSET', job_key(id), 'status', 'queued')
if counts == '1' then
  redis.call('HSET', job_key(id), 'error', reason)
else
  redis.call('HINCRBY', job_key(id), 'attempts', -1)
end
