//! A seeded table of people with what real people data has and benchmark data usually lacks: households.
//!
//! [`people`] makes persons in households (spouses, children, twins, a parent and a child of one name), who share
//! surname, address and landline, then writes one to several damaged records of each person: typos, nicknames, swapped
//! fields, missing values, married names, moved households. Equal seeds give equal tables.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Column names, in the order of [`PersonRow::values`].
pub const COLUMNS: [&str; 8] = [
    "first_name",
    "surname",
    "dob",
    "street",
    "city",
    "postcode",
    "phone",
    "email",
];

/// One record; `None` is a missing value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonRow {
    /// First name, sometimes a nickname or an initial.
    pub first_name: Option<String>,
    /// Surname.
    pub surname: Option<String>,
    /// Date of birth, `YYYY-MM-DD`.
    pub dob: Option<String>,
    /// House number and street.
    pub street: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
    /// Landline of the household or mobile of the person.
    pub phone: Option<String>,
    /// Mail address.
    pub email: Option<String>,
}

impl PersonRow {
    /// The values in column order.
    pub fn values(&self) -> [&Option<String>; 8] {
        [
            &self.first_name,
            &self.surname,
            &self.dob,
            &self.street,
            &self.city,
            &self.postcode,
            &self.phone,
            &self.email,
        ]
    }

    fn values_mut(&mut self) -> [&mut Option<String>; 8] {
        [
            &mut self.first_name,
            &mut self.surname,
            &mut self.dob,
            &mut self.street,
            &mut self.city,
            &mut self.postcode,
            &mut self.phone,
            &mut self.email,
        ]
    }
}

/// Makes `records` records; answers the rows and the person (cluster) of each row.
pub fn people(records: usize, seed: u64) -> (Vec<PersonRow>, Vec<u32>) {
    let mut world = World::new(records, seed);
    let mut rows: Vec<(u64, PersonRow, u32)> = Vec::with_capacity(records);
    let mut person = 0;
    while rows.len() < records {
        for member in world.household() {
            for copy in 0..world.copies() {
                let row = world.record(&member, copy);
                rows.push((world.random.random(), row, person));
            }
            person += 1;
        }
    }
    rows.truncate(records);
    rows.sort_by_key(|row| row.0);
    rows.into_iter()
        .map(|(_, row, person)| (row, person))
        .unzip()
}

#[derive(Clone)]
struct Place {
    street: String,
    city: String,
    postcode: String,
    landline: String,
}

#[derive(Clone)]
struct Person {
    female: bool,
    first: String,
    surname: String,
    maiden: Option<String>,
    dob: (u32, u32, u32),
    place: Place,
    former: Option<Place>,
    mobile: Option<String>,
    mail: Option<String>,
}

struct World {
    random: StdRng,
    surnames: Vec<String>,
    streets: Vec<String>,
    cities: Vec<String>,
}

impl World {
    fn new(records: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let scale = (records as f64).sqrt() as usize;
        let surnames = (0..(scale * 12).clamp(400, 12_000))
            .map(|_| word(&mut random, 2, 3))
            .collect();
        let streets = (0..(scale * 8).clamp(300, 8_000))
            .map(|_| word(&mut random, 2, 3))
            .collect();
        let cities = (0..(scale).clamp(60, 900))
            .map(|_| word(&mut random, 2, 3))
            .collect();
        Self {
            random,
            surnames,
            streets,
            cities,
        }
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[skewed(&mut self.random, list.len(), 1.6)]
    }

    fn surname(&mut self) -> String {
        if self.chance(0.45) {
            return self.pick(&SURNAMES).to_owned();
        }
        let at = skewed(&mut self.random, self.surnames.len(), 2.0);
        self.surnames[at].clone()
    }

    fn place(&mut self) -> Place {
        let city = skewed(&mut self.random, self.cities.len(), 2.2);
        let street = self.random.random_range(0..self.streets.len());
        let kind = self.pick(&["Street", "Road", "Avenue", "Lane", "Close", "Drive"]);
        let number = self.random.random_range(1..220);
        let district = self.random.random_range(0..60);
        let name = self.streets[street].clone();
        let unit = if self.chance(0.12) {
            format!("Flat {} ", self.random.random_range(1..40))
        } else {
            String::new()
        };
        Place {
            street: format!("{unit}{number} {name} {kind}"),
            city: self.cities[city].clone(),
            postcode: format!("{:02}{:03}", city % 100, district * 13 % 1000),
            landline: format!(
                "0{}{:06}",
                20 + city % 70,
                self.random.random_range(0..1_000_000)
            ),
        }
    }

    fn household(&mut self) -> Vec<Person> {
        let place = self.place();
        let former = self.chance(0.2).then(|| self.place());
        let surname = self.surname();
        let year = self.random.random_range(1935..1985);
        let mut members = vec![self.person(false, year, &surname, &place, &former)];
        if self.chance(0.62) {
            let spouse = self.spouse(year, &surname, &place, &former);
            members.push(spouse);
        }
        let children = [0, 0, 0, 1, 1, 2, 2, 3][self.random.random_range(0..8)];
        for _ in 0..children {
            let year = year + self.random.random_range(20..38);
            let female = self.chance(0.5);
            let mut child = self.person(female, year, &surname, &place, &former);
            if !female && self.chance(0.08) {
                child.first.clone_from(&members[0].first);
            }
            let twin = self.chance(0.06).then(|| self.twin(&child));
            members.push(child);
            members.extend(twin);
        }
        members
    }

    fn spouse(
        &mut self,
        year: u32,
        surname: &str,
        place: &Place,
        former: &Option<Place>,
    ) -> Person {
        let year = year - 4 + self.random.random_range(0..9);
        let mut spouse = self.person(true, year, surname, place, former);
        if self.chance(0.5) {
            spouse.maiden = Some(self.surname());
        }
        spouse
    }

    fn twin(&mut self, other: &Person) -> Person {
        let female = self.chance(0.5);
        let mut twin = self.person(
            female,
            other.dob.0,
            &other.surname,
            &other.place,
            &other.former,
        );
        twin.dob = other.dob;
        twin
    }

    fn person(
        &mut self,
        female: bool,
        year: u32,
        surname: &str,
        place: &Place,
        former: &Option<Place>,
    ) -> Person {
        let first = if female {
            self.pick(&FEMALE)
        } else {
            self.pick(&MALE)
        }
        .to_owned();
        let dob = (
            year,
            self.random.random_range(1..13),
            self.random.random_range(1..29),
        );
        let mobile = self
            .chance(0.45)
            .then(|| format!("07{:09}", self.random.random_range(0..1_000_000_000u32)));
        let mail = self.chance(0.6).then(|| self.mail(&first, surname, year));
        Person {
            female,
            first,
            surname: surname.to_owned(),
            maiden: None,
            dob,
            place: place.clone(),
            former: former.clone(),
            mobile,
            mail,
        }
    }

    fn mail(&mut self, first: &str, surname: &str, year: u32) -> String {
        let domain = self.pick(&[
            "gmail.com",
            "outlook.com",
            "yahoo.com",
            "proton.me",
            "btinternet.com",
            "icloud.com",
        ]);
        let (first, surname) = (first.to_lowercase(), surname.to_lowercase());
        let initial = first.get(..1).unwrap_or("x");
        match self.random.random_range(0..4) {
            0 => format!("{first}.{surname}@{domain}"),
            1 => format!("{initial}{surname}{}@{domain}", year % 100),
            2 => format!("{first}{}@{domain}", self.random.random_range(1..9999)),
            _ => format!(
                "{surname}.{initial}{}@{domain}",
                self.random.random_range(1..99)
            ),
        }
    }

    fn copies(&mut self) -> usize {
        match self.random.random_range(0..100) {
            0..55 => 1,
            55..82 => 2,
            82..94 => 3,
            94..98 => 4,
            _ => 5,
        }
    }

    fn record(&mut self, person: &Person, copy: usize) -> PersonRow {
        let place = match &person.former {
            Some(former) if self.chance(0.4) => former,
            _ => &person.place,
        };
        let surname = match &person.maiden {
            Some(maiden) if self.chance(0.25) => maiden,
            _ => &person.surname,
        };
        let phone = match &person.mobile {
            Some(mobile) if self.chance(0.5) => mobile,
            _ => &place.landline,
        };
        let mut row = PersonRow {
            first_name: Some(self.first_name(person)),
            surname: Some(surname.clone()),
            dob: Some(format!(
                "{:04}-{:02}-{:02}",
                person.dob.0, person.dob.1, person.dob.2
            )),
            street: Some(place.street.clone()),
            city: Some(place.city.clone()),
            postcode: Some(place.postcode.clone()),
            phone: Some(phone.clone()),
            email: person.mail.clone(),
        };
        self.damage(&mut row, if copy == 0 { 0.4 } else { 1.0 });
        row
    }

    fn first_name(&mut self, person: &Person) -> String {
        let nickname = NICKNAMES
            .iter()
            .find(|pair| pair.0 == person.first)
            .map(|pair| pair.1);
        match nickname {
            Some(nickname) if self.chance(0.15) => nickname.to_owned(),
            _ if self.chance(0.03) => person.first.get(..1).unwrap_or("").to_owned(),
            _ if person.female && self.chance(0.02) => format!("{} Ann", person.first),
            _ => person.first.clone(),
        }
    }

    fn damage(&mut self, row: &mut PersonRow, strength: f64) {
        const TYPOS: [f64; 8] = [0.08, 0.08, 0.05, 0.08, 0.05, 0.03, 0.03, 0.04];
        const MISSING: [f64; 8] = [0.02, 0.01, 0.12, 0.08, 0.06, 0.1, 0.25, 0.2];
        if self.chance(0.02 * strength) {
            std::mem::swap(&mut row.first_name, &mut row.surname);
        }
        if self.chance(0.03 * strength) {
            row.dob = row.dob.as_deref().map(swap_day_and_month);
        }
        for (at, value) in row.values_mut().into_iter().enumerate() {
            if self.chance(MISSING[at]) {
                *value = None;
            } else if self.chance(TYPOS[at] * strength) {
                *value = value.as_deref().map(|text| typo(&mut self.random, text));
            }
        }
    }
}

/// An index below `length`, small ones more often; `power` 1 is uniform.
fn skewed(random: &mut StdRng, length: usize, power: f64) -> usize {
    let at = random.random::<f64>().powf(power) * length as f64;
    (at as usize).min(length - 1)
}

fn word(random: &mut StdRng, shortest: usize, longest: usize) -> String {
    const STARTS: [&str; 22] = [
        "b", "br", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "w",
        "ch", "sh", "th", "cl",
    ];
    const MIDDLES: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "oo", "ai"];
    const ENDS: [&str; 12] = ["", "n", "r", "l", "s", "t", "ck", "m", "nd", "rd", "x", "y"];
    let mut text = String::new();
    for _ in 0..random.random_range(shortest..=longest) {
        text.push_str(STARTS[random.random_range(0..STARTS.len())]);
        text.push_str(MIDDLES[random.random_range(0..MIDDLES.len())]);
    }
    text.push_str(ENDS[random.random_range(0..ENDS.len())]);
    let (head, tail) = text.split_at(1);
    head.to_uppercase() + tail
}

fn swap_day_and_month(date: &str) -> String {
    let parts: Vec<&str> = date.split('-').collect();
    match parts.as_slice() {
        [year, month, day] => format!("{year}-{day}-{month}"),
        _ => date.to_owned(),
    }
}

/// One random edit: substitute, drop, double or transpose a character.
fn typo(random: &mut StdRng, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 2 {
        return text.to_owned();
    }
    let at = random.random_range(0..letters.len() - 1);
    let fresh = if letters[at].is_ascii_digit() {
        random.random_range(b'0'..=b'9')
    } else {
        random.random_range(b'a'..=b'z')
    };
    match random.random_range(0..4) {
        0 => letters[at] = char::from(fresh),
        1 => {
            letters.remove(at);
        }
        2 => letters.insert(at, char::from(fresh)),
        _ => letters.swap(at, at + 1),
    }
    letters.into_iter().collect()
}

const FEMALE: [&str; 48] = [
    "Mary",
    "Patricia",
    "Jennifer",
    "Linda",
    "Elizabeth",
    "Barbara",
    "Susan",
    "Jessica",
    "Sarah",
    "Karen",
    "Nancy",
    "Margaret",
    "Lisa",
    "Betty",
    "Dorothy",
    "Sandra",
    "Ashley",
    "Kimberly",
    "Donna",
    "Emily",
    "Michelle",
    "Carol",
    "Amanda",
    "Melissa",
    "Deborah",
    "Stephanie",
    "Rebecca",
    "Laura",
    "Helen",
    "Sharon",
    "Cynthia",
    "Kathleen",
    "Amy",
    "Shirley",
    "Angela",
    "Anna",
    "Ruth",
    "Brenda",
    "Pamela",
    "Nicole",
    "Katherine",
    "Virginia",
    "Catherine",
    "Christine",
    "Samantha",
    "Rosemary",
    "Ingrid",
    "Philippa",
];
const MALE: [&str; 48] = [
    "James",
    "John",
    "Robert",
    "Michael",
    "William",
    "David",
    "Richard",
    "Joseph",
    "Thomas",
    "Charles",
    "Christopher",
    "Daniel",
    "Matthew",
    "Anthony",
    "Donald",
    "Mark",
    "Paul",
    "Steven",
    "Andrew",
    "Kenneth",
    "George",
    "Joshua",
    "Kevin",
    "Brian",
    "Edward",
    "Ronald",
    "Timothy",
    "Jason",
    "Jeffrey",
    "Ryan",
    "Gary",
    "Nicholas",
    "Eric",
    "Stephen",
    "Jonathan",
    "Larry",
    "Justin",
    "Scott",
    "Frank",
    "Brandon",
    "Raymond",
    "Gregory",
    "Benjamin",
    "Samuel",
    "Patrick",
    "Alexander",
    "Frederick",
    "Malcolm",
];
const SURNAMES: [&str; 40] = [
    "Smith",
    "Jones",
    "Taylor",
    "Brown",
    "Williams",
    "Wilson",
    "Johnson",
    "Davies",
    "Robinson",
    "Wright",
    "Thompson",
    "Evans",
    "Walker",
    "White",
    "Roberts",
    "Green",
    "Hall",
    "Wood",
    "Jackson",
    "Clarke",
    "Patel",
    "Khan",
    "Lewis",
    "James",
    "Phillips",
    "Mason",
    "Mitchell",
    "Rose",
    "Davis",
    "Rodriguez",
    "Cox",
    "Alexander",
    "Morgan",
    "Hughes",
    "Edwards",
    "Hill",
    "Moore",
    "Clark",
    "Harrison",
    "Scott",
];
const NICKNAMES: [(&str, &str); 22] = [
    ("Elizabeth", "Liz"),
    ("William", "Bill"),
    ("Robert", "Bob"),
    ("Richard", "Dick"),
    ("Margaret", "Peggy"),
    ("Katherine", "Kate"),
    ("Catherine", "Cathy"),
    ("James", "Jim"),
    ("John", "Jack"),
    ("Michael", "Mike"),
    ("Christopher", "Chris"),
    ("Thomas", "Tom"),
    ("Charles", "Charlie"),
    ("Joseph", "Joe"),
    ("Edward", "Ted"),
    ("Patricia", "Pat"),
    ("Jennifer", "Jenny"),
    ("Deborah", "Debbie"),
    ("Susan", "Sue"),
    ("Rebecca", "Becky"),
    ("Anthony", "Tony"),
    ("Benjamin", "Ben"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_tables() {
        let (rows, clusters) = people(2_000, 1);
        assert_eq!(people(2_000, 1), (rows.clone(), clusters.clone()));
        assert_ne!(people(2_000, 2).0, rows);
        assert_eq!((rows.len(), clusters.len()), (2_000, 2_000));
    }

    #[test]
    fn relatives_share_a_landline_but_not_a_cluster() {
        let (rows, clusters) = people(3_000, 1);
        let shared = (0..rows.len()).filter(|at| {
            (0..rows.len()).any(|other| {
                rows[*at].phone.is_some()
                    && rows[*at].phone == rows[other].phone
                    && clusters[*at] != clusters[other]
            })
        });
        assert!(shared.count() > 300);
    }
}
