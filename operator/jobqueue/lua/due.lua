-- Takes webhooks that are due, and sets when each is due again unless somebody says that it was delivered.
-- ARGV: how many, then the pauses in ms after each try. Returns {ids, how many were given up}.
local taken, given_up = {}, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', webhooks, '-inf', now(), 'LIMIT', 0, ARGV[1])) do
  local tries = redis.call('EXISTS', job_key(id)) == 1 and redis.call('HINCRBY', job_key(id), 'webhook_tries', 1)
  local pause = tries and ARGV[1 + tries]
  if pause then
    redis.call('ZADD', webhooks, now() + pause, id)
    taken[#taken + 1] = id
  else
    redis.call('ZREM', webhooks, id)
    given_up = given_up + 1
  end
end
return {taken, given_up}
