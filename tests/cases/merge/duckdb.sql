-- out
select * from read_csv('in/source.csv') s where not exists (select 1 from read_csv('in/staging.csv') t where t.k = s.k and t.part = s.part) union all by name select * from read_csv('in/staging.csv');
