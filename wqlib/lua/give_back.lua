--[[
  Ends leases without completion: the items wait again, at the head of the list.

  ARGV[2]  "release" (does not count as a failure) or "fail" (counts)
  ARGV[3]  why, at most 1000 bytes
  ARGV[4]  failures after which an item is given up, 0: never
  ARGV[5]  lease id, and so on

  Returns for each lease id 1 (waits again), 2 (given up) or 0 (the lease was lost)
]]

local kind, reason, max_attempts = ARGV[2], ARGV[3], tonumber(ARGV[4])

local before = answered_before()
if before then
  return before
end

local live = {}
for i = 5, #ARGV do
  live[i] = is_live(ARGV[i])
end
redis.call('HINCRBY', counts, kind == 'fail' and 'failed' or 'released', 0) -- refused when memory is short
local answer, number, gave_up = {}, 0, false
for i = 5, #ARGV do
  -- The same lease id twice in one call: the second time it is lost.
  if live[i] and redis.call('ZSCORE', leases, ARGV[i]) then
    number = number + 1
    local is_dead = give_back(kind, ARGV[i], reason, max_attempts)
    answer[#answer + 1] = is_dead and 2 or 1
    gave_up = gave_up or is_dead
  else
    answer[#answer + 1] = 0
  end
end
redis.call('HINCRBY', counts, kind == 'fail' and 'failed' or 'released', number)
close(answer, gave_up)
return answer
