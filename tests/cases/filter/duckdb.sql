-- and
select * from read_csv('in/people.csv') where age > 28 and height <= 1.71 and not City = 'Lyon';
-- or
select * from read_csv('in/people.csv') where age is null or id < 2 or "first name" like 'D%';
