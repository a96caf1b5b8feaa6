--[[
  Lets leases that are still in force last longer, counted from now.

  ARGV[2]  how long, ms
  ARGV[3]  lease id, and so on

  Returns {the new deadline, ms; for each lease id 1, or 0 (the lease was lost)}
]]

local deadline = now + tonumber(ARGV[2])
local answer, renewed = {}, false
for i = 3, #ARGV do
  if is_live(ARGV[i]) then
    redis.call('ZADD', leases, deadline, ARGV[i])
    tell('renew', ARGV[i])
    answer[#answer + 1], renewed = 1, true
  else
    answer[#answer + 1] = 0
  end
end
if renewed then
  tell('until', whole(deadline))
  tell('pending', whole(pending))
  redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*', unpack(story))
end
return { deadline, answer }
