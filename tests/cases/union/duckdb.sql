-- all_rows
select id, cast(v as varchar) as v from read_csv('in/a.csv') union all select nr, w from read_csv('in/b.csv');
-- distinct_rows
select * from read_csv('in/a.csv') union select * from read_csv('in/c.csv');
