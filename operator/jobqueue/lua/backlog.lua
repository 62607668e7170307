-- Returns how many jobs no worker has taken yet, how many are taken and not finished, ms since the oldest of the former
-- came, how many webhooks wait to be delivered, and how many jobs have ended, by status.
ensure_group()
local pending = redis.call('XPENDING', jobs, GROUP)[1]
local last
for _, group in ipairs(redis.call('XINFO', 'GROUPS', jobs)) do
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then
      last = group[i + 1]
    end
  end
end
local first = redis.call('XRANGE', jobs, '(' .. last, '+', 'COUNT', 1)[1]
local age = first and now() - tonumber(string.match(first[1], '^(%d+)')) or 0
return {redis.call('XLEN', jobs) - pending, pending, age, redis.call('ZCARD', webhooks),
  redis.call('HGETALL', prefix .. 'ended')}
