select k, longest(s) as longest from input group by k order by k
