select match_id, most_frequent(city) as city, most_frequent(born) as born, most_frequent(active) as active
from input group by match_id order by match_id
