"""Words to train on: real ones of many languages and random strings of many scripts.

Random strings make any word drawable: the networks must copy strokes from the control images, and
must not learn a list of words by heart. `HELD_OUT` is never trained on; evaluation reads it back.
"""

# ruff: noqa: E501
import random

from training.evaluation.held_out import HELD_OUT

_REAL = {
    "zh": "家 水 山 狗 朋友 太阳 月亮 爱 心 书 树 花 春天 秋 冬 夏 雨 雪 风 云 天空 海 河 路 车 火车 飞机 船 苹果 米饭 面包 茶 "
    "咖啡 牛奶 鱼 鸟 马 牛 羊 龙 虎 老师 学生 学校 医院 时间 今天 明天 快乐 悲伤 睡觉 吃 喝 看 听 说 读 写 走 跑 飞 画 音乐 舞蹈 "
    "光 黑 白 红 绿 金 木 土 石 门 窗 床 椅子 电话 电脑 手 脚 眼睛 耳朵 口 头 人 女 男 孩子 国 城市 世界 星 梦 希望 和平 自由 力量",
    "ja": "桜 こころ ありがとう そら 空 ゆき いぬ 犬 ねこ はな みず 勉強 先生 電車 食べる 飲む 夢 ラーメン カメラ テレビ 友達 ひかり かぜ やま 森 林",
    "ko": "물 불 집 학교 친구 하늘 바다 꽃 나무 고양이 개 책 공부 시간 마음 빛 달 별 해 음악",
    "ar": "كتاب بيت قلب شمس قمر ماء نار حب مدرسة صديق طعام سماء بحر وردة شجرة حصان قطة كلب علم نور",
    "he": "בית ספר לב שמש ירח מים אש אהבה חבר ים פרח עץ סוס חתול כלב אור לילה יום",
    "hi": "घर पानी आग सूरज चाँद किताब दिल प्रेम पेड़ फूल दोस्त खाना बिल्ली कुत्ता आकाश नदी पहाड़ शिक्षा समय",
    "th": "บ้าน น้ำ ไฟ ดวงจันทร์ หนังสือ หัวใจ รัก ต้นไม้ ดอกไม้ เพื่อน แมว หมา ฟ้า ทะเล",
    "el": "σπίτι νερό φωτιά ήλιος φεγγάρι καρδιά αγάπη δέντρο λουλούδι φίλος γάτα σκύλος ουρανός θάλασσα",
    "ru": "вода огонь луна книга сердце дерево цветок друг еда кошка собака небо море школа жизнь",
    "la": "river house love study tree moon Stern Haus Wasser Feuer amor libro sol luna gato perro maison fleur vie Liebe Buch "
    "eau dream star music time hope écouter mañana Straße größer çiçek łódź",
    "others": "მზე სახლი წყალი հաց տուն ջուր ቤት ውሃ ፀሐይ জল বই ফুল நீர் மரம் பூ నీరు పువ్వు ನೀರು ಮರ വെള്ളം ജലം ජලය මල ရေ ပန်း ນ້ຳ ດອກໄມ້ ទឹក ផ្ទះ "
    "ཆུ་ མེ་ཏོག ᠮᠣᠷᠢ ᠤᠰᠤ ᎠᎹ ᏣᎳᎩ ᓄᓇ ⴰⵎⴰⵏ ߖߌ ᚠᛖᚺᚢ 𐌰𐍄𐍄𐌰 ꦧꦚꦸ ਪਾਣੀ ਫੁੱਲ પાણી ଜଳ 😀 🌸 ★ 42 3月",
}
"""By language; "others" are of many scripts."""

_LETTERS = {
    "ko": ("가", "힣"),
    "hi": ("क", "ह"),
    "th": ("ก", "ฮ"),
    "ar": ("ا", "ي"),
    "he": ("א", "ת"),
    "el": ("α", "ω"),
    "ru": ("а", "я"),
    "la": ("a", "z"),
}

_SCRIPTS = ("zh", "ja", "ko", "ar", "he", "hi", "th", "el", "ru", "la", "others")
_WEIGHTS = (36, 11, 8, 8, 4, 7, 4, 4, 6, 8, 5)


def random_word(rng: random.Random) -> tuple[str, str]:
    """A word and its language; four in ten are random strings of the script's letters."""
    language = rng.choices(_SCRIPTS, _WEIGHTS)[0]
    word = (
        _random_string(language, rng)
        if rng.random() < 0.4 and language != "others"
        else rng.choice(_REAL[language].split())
    )
    held_out = {entry.word for entry in HELD_OUT}
    return random_word(rng) if word in held_out else (_cased(word, language, rng), _code(language))


def _random_string(language: str, rng: random.Random) -> str:
    if language == "zh":
        return "".join(
            chr(rng.randint(0x4E00, 0x9F00)) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))
        )
    if language == "ja":
        start, end = rng.choice((("あ", "ん"), ("ア", "ン")))
        return "".join(chr(rng.randint(ord(start), ord(end))) for _ in range(rng.randint(2, 5)))
    start, end = _LETTERS[language]
    longest = 3 if language == "ko" else 8
    letters = [chr(code) for code in range(ord(start), ord(end) + 1) if chr(code).isalpha()]
    return "".join(rng.choices(letters, k=rng.randint(2, longest)))


def _cased(word: str, language: str, rng: random.Random) -> str:
    if language not in ("la", "ru", "el"):
        return word
    return rng.choice((word, word, word.capitalize(), word.upper()))


def _code(language: str) -> str:
    return "auto" if language in ("la", "others") else language
