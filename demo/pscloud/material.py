"""Word lists behind the invented customers: names, places of Bulacan and Pampanga, routes and products."""

from typing import NamedTuple


class Town(NamedTuple):
    """A town with its centre, its collector code and some of its barangays."""

    name: str
    province: str
    latitude: float
    longitude: float
    code: str
    barangays: tuple[str, ...]


class Product(NamedTuple):
    """What the park sells: weight, contract price range in pesos, terms in months, where it lies."""

    name: str
    weight: int
    lowest: int
    highest: int
    terms: tuple[int, ...]
    places: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split(","))


# code, name, area, active
COLLECTORS: tuple[tuple[str, str, str, bool], ...] = (
    ("BUL-01", "Bulacan West", "Malolos, Calumpit, Hagonoy", True),
    ("BUL-02", "Bulacan Central", "Guiguinto, Plaridel, Pulilan", True),
    ("BUL-03", "Bulacan South", "Meycauayan, Bocaue, Santa Maria", True),
    ("BUL-04", "Bulacan East", "San Jose del Monte", True),
    ("BUL-05", "Bulacan North", "Baliwag, San Miguel", True),
    ("PAM-01", "Pampanga Central", "San Fernando, Mexico, Apalit", True),
    ("PAM-02", "Pampanga West", "Angeles, Guagua, Lubao", True),
    ("OFC-00", "Office counter (closed route)", "Walk-in accounts of the old Malolos office", False),
)
CLOSED_ROUTE = "OFC-00"
UNKNOWN_CODE = "NEJ-09"

# Order matters: customers are dealt round this list, so a small demo has every route too.
TOWNS: tuple[Town, ...] = (
    Town(
        "Malolos City",
        "Bulacan",
        14.8433,
        120.8114,
        "BUL-01",
        ("Bulihan", "Dakila", "Guinhawa", "Longos", "Mojon", "Sumapang Matanda", "Tikay"),
    ),
    Town(
        "San Jose del Monte City",
        "Bulacan",
        14.8139,
        121.0453,
        "BUL-04",
        ("Graceville", "Kaypian", "Muzon", "Sapang Palay", "Tungkong Mangga"),
    ),
    Town(
        "City of San Fernando",
        "Pampanga",
        15.0286,
        120.6898,
        "PAM-01",
        ("Calulut", "Del Pilar", "Dolores", "San Agustin", "Sindalan", "Telabastagan"),
    ),
    Town("Meycauayan City", "Bulacan", 14.7369, 120.9608, "BUL-03", ("Calvario", "Iba", "Lawa", "Malhacan", "Pandayan", "Saluysoy")),
    Town("Plaridel", "Bulacan", 14.8869, 120.8572, "BUL-02", ("Banga I", "Bintog", "Lalangan", "Parulan", "Tabang")),
    Town(
        "Angeles City",
        "Pampanga",
        15.1450,
        120.5887,
        "PAM-02",
        ("Balibago", "Cutcut", "Malabanias", "Pampang", "Pulung Maragul", "Santo Rosario"),
    ),
    Town("Baliwag City", "Bulacan", 14.9547, 120.8969, "BUL-05", ("Bagong Nayon", "Concepcion", "Poblacion", "Sabang", "Tangos", "Tarcan")),
    Town("Hagonoy", "Bulacan", 14.8342, 120.7325, "BUL-01", ("Iba", "San Agustin", "San Sebastian", "Santo Niño")),
    Town("Santa Maria", "Bulacan", 14.8183, 120.9561, "BUL-03", ("Caypombo", "Guyong", "Poblacion", "Pulong Buhangin", "Santa Clara")),
    Town("Mexico", "Pampanga", 15.0667, 120.7167, "PAM-01", ("Anao", "Lagundi", "Parian", "San Antonio")),
    Town("Guiguinto", "Bulacan", 14.8333, 120.8833, "BUL-02", ("Cutcut", "Ilang-Ilang", "Malis", "Tabe", "Tuktukan")),
    Town("Calumpit", "Bulacan", 14.9167, 120.7667, "BUL-01", ("Caniogan", "Corazon", "Gatbuca", "Pungo", "San Jose")),
    Town("Guagua", "Pampanga", 14.9667, 120.6333, "PAM-02", ("Bancal", "Plaza Burgos", "San Roque", "Santo Cristo")),
    Town("Bocaue", "Bulacan", 14.7983, 120.9261, "BUL-03", ("Bunlo", "Lolomboy", "Taal", "Turo", "Wakas")),
    Town("San Miguel", "Bulacan", 15.1458, 120.9783, "BUL-05", ("Camias", "Poblacion", "Salacot", "Sibul")),
    Town("Pulilan", "Bulacan", 14.9022, 120.8489, "BUL-02", ("Cutcot", "Longos", "Poblacion", "Santo Cristo", "Tibag")),
    Town("Apalit", "Pampanga", 14.9494, 120.7587, "PAM-01", ("Sampaloc", "San Vicente", "Sulipan", "Tabuyuc")),
    Town(
        "San Jose del Monte City", "Bulacan", 14.8139, 121.0453, "BUL-04", ("Bagong Buhay", "Francisco Homes", "Gaya-Gaya", "Santo Cristo")
    ),
    Town("Lubao", "Pampanga", 14.9333, 120.6000, "PAM-02", ("Remedios", "San Nicolas", "Santa Cruz")),
)

STREETS = _words(
    """
    Rizal St., Mabini St., Bonifacio St., Del Pilar St., Luna St., Sampaguita St., Kalachuchi St., Narra St., Acacia St., Burgos St.,
    Gomez St., Aguinaldo St., Ilang-Ilang St., Sto. Niño St., San Isidro St., MacArthur Highway, Cagayan Valley Road
    """
)
SUBDIVISIONS = _words(
    """
    Villa Las Palmas, Grand Royale Homes, Heritage Village, St. Dominic Ville, Camella Homes, Northville 8, Golden Meadows
    """
)

WOMEN = _words(
    """
    Ma. Teresa, Ma. Luisa, Ma. Cristina, Ma. Victoria, Josefina, Corazon, Rosario, Lourdes, Remedios, Erlinda, Teresita, Luzviminda,
    Gloria, Carmelita, Imelda, Leonora, Perla, Norma, Angelica, Kristine Joy, Mary Grace, Jennifer, Maricel, Rowena, Analyn,
    Cherry Ann, Princess Mae, Evangeline, Felicidad, Milagros, Concepcion, Soledad, Estrella, Natividad, Zenaida, Rosalinda, Marites,
    Jocelyn, Lorna, Editha
    """
)
MEN = _words(
    """
    Juan, Jose, Pedro, Antonio, Ramon, Roberto, Ricardo, Eduardo, Ernesto, Rodolfo, Rolando, Danilo, Reynaldo, Renato, Manuel,
    Francisco, Fernando, Alfredo, Romeo, Benigno, Crisanto, Dominador, Florencio, Gregorio, Isagani, Jayson, John Paul, Mark Anthony,
    Michael, Christian, Joel, Noel, Arnel, Rommel, Virgilio, Teodoro, Wilfredo, Zosimo, Bayani, Lito
    """
)
SURNAMES = _words(
    """
    Abad, Abueva, Aguilar, Alcantara, Almario, Alvarez, Andrada, Aquino, Arceo, Atienza, Avendaño, Bacani, Baluyot, Bautista, Bayani,
    Beltran, Bernardo, Bondoc, Briones, Buenaventura, Bustamante, Cabanban, Cabrera, Calderon, Canlas, Capili, Carreon, Castañeda,
    Castillo, Castro, Catacutan, Cayanan, Centeno, Concepcion, Cordero, Coronel, Cortez, Crisostomo, Cruz, Cunanan, Dagdag, David,
    Dayrit, De Castro, De Guzman, De Jesus, De la Peña, De Leon, De los Reyes, De los Santos, De Vera, Del Mundo, Del Rosario,
    Dela Cruz, Dela Rosa, Dimaculangan, Dizon, Domingo, Enriquez, Escueta, Espino, Espiritu, Estrella, Eusebio, Evangelista, Fajardo,
    Feliciano, Fernandez, Flores, Francisco, Galang, Galvez, Garcia, Gatchalian, Gatdula, Gonzales, Guevarra, Guinto, Halili,
    Hernandez, Hipolito, Ignacio, Ilagan, Jacinto, Javier, Joaquin, Jose, Katigbak, Lacson, Lagman, Lapuz, Lazaro, Legaspi, Lopez,
    Lorenzo, Lumbao, Macapagal, Macaraeg, Magbanua, Magsaysay, Malabanan, Mallari, Manalastas, Manalo, Manansala, Mangahas, Manuel,
    Marasigan, Mariano, Marquez, Martinez, Mendoza, Mercado, Miranda, Morales, Muñoz, Naguit, Navarro, Nepomuceno, Nicolas, Nuñez,
    Ocampo, Ordoñez, Ortega, Pabustan, Pagsanjan, Palad, Pangan, Pangilinan, Panlilio, Pascual, Payumo, Peña, Peñaflor, Perez, Pineda,
    Policarpio, Punzalan, Quiambao, Quizon, Ramirez, Ramos, Reyes, Rivera, Robles, Rodriguez, Roque, Roxas, Salonga, Salvador,
    San Gabriel, San Jose, San Pedro, Santiago, Santos, Sarmiento, Sayo, Serrano, Sevilla, Sicat, Simbulan, Soriano, Sta. Ana,
    Sta. Maria, Suarez, Sunga, Tamayo, Tanedo, Tayag, Tecson, Tiangco, Timbol, Tolentino, Torres, Trinidad, Tuazon, Umali, Valencia,
    Valenzuela, Vasquez, Velasco, Vergara, Viceo, Villafuerte, Villanueva, Villena, Viray, Vitug, Yabut, Yap, Yumul, Yuzon, Zamora,
    Zapanta
    """
)
INITIALS = "ABCDEFGHIJLMNOPQRSTUVZ"

# The first customers carry the spellings that most often go wrong on lists, receipts and in searches.
FIRST_NAMES_ON_THE_LIST = (
    "Juan P. Dela Cruz Jr.",
    "Ma. Teresa S. Peñaflor",
    "Josefina R. De los Santos",
    "Heirs of Crisanto B. Ordoñez",
    "Sps. Ramon and Luzviminda Muñoz",
    "Ma. Cristina Nuñez-Sta. Ana",
    "Benigno C. De la Peña III",
    "Niña Angelica M. Dela Rosa",
    "Jose Ma. L. Avendaño Sr.",
    "Rosario D. Yap",
)

PREFIXES = _words(
    """
    0905, 0906, 0915, 0916, 0917, 0918, 0919, 0920, 0921, 0926, 0927, 0928, 0935, 0939, 0945, 0949, 0956, 0961, 0966, 0975, 0977,
    0995, 0998, 0999
    """
)

PRODUCTS: tuple[Product, ...] = (
    Product("Lawn lot", 55, 85_000, 160_000, (36, 48, 60), ("Garden of Peace", "Garden of Hope", "Sampaguita Lawn", "St. Joseph Lawn")),
    Product("Garden lot", 15, 220_000, 480_000, (48, 60), ("Court of Mercy", "Garden of the Holy Family", "Narra Court")),
    Product("Family estate", 7, 650_000, 1_900_000, (60, 84), ("Estate Row A", "Estate Row B", "Hillside Estates")),
    Product(
        "Columbary vault", 13, 45_000, 120_000, (12, 24, 36), ("Chapel of Light, Level 1", "Chapel of Light, Level 2", "St. Michael Wing")
    ),
    Product("Interment service", 10, 18_500, 65_000, (1, 3, 6), ("Garden of Peace", "Garden of Hope", "Chapel of Light")),
)
