-- old
select * from read_csv('in/people.csv') where age >= 34;
-- koeln
select * from read_csv('in/people.csv') where City like 'K%' or City is null;
-- rest
select * from read_csv('in/people.csv') where not coalesce(age >= 34, false) and not coalesce(City like 'K%' or City is null, false);
